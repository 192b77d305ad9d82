import { OsError } from '@leasehold/shm-core/internal';
import { describe, expect, it } from 'vitest';
import { releaseLease } from './lease-operations.ts';
import { detachMapping, watchMappings } from './mapping-operations.ts';
import { channel, code, settled } from './testing/channel-world.ts';
import { attach, grown, hold, lease, PAGE, resize, scene, state, untouched } from './testing/resizes.ts';

describe('making a mapping larger', () => {
  it('charges what is there then, to the page', async () => {
    const here = await scene();
    await resize(here, 3 * PAGE + 1);
    expect(state(here)).toEqual(grown(3 * PAGE + 1));
    await resize(here, 10 * PAGE);
    expect(state(here)).toEqual(grown(10 * PAGE));
  });

  it('to the size that it has changes nothing, as often as it is asked, and tells nobody', async () => {
    const here = await scene();
    const told: string[] = [];
    const watcher = { changed: (change: string) => told.push(change), synced: () => undefined };
    watchMappings(here.world.core, here.owner, '', watcher);
    for (let round = 0; round < 3; round += 1) await resize(here, 5000);
    expect(told).toEqual(['created']);
    await resize(here, 5001);
    expect(told).toEqual(['created', 'changed']);
  });

  it('is cumulative where it is to grow only: less than there is changes nothing (PRIOR-ART: commit)', async () => {
    const here = await scene();
    await resize(here, 1, { onlyGrow: true });
    expect(state(here)).toEqual(untouched);
    await resize(here, 3 * PAGE, { onlyGrow: true });
    await resize(here, 2 * PAGE, { onlyGrow: true });
    expect(state(here)).toEqual(grown(3 * PAGE));
  });

  it.each([
    [10 * PAGE + 1, 'was created with 40960 B of reservation and cannot have 40961 B'],
    [0, ''],
    [2 ** 53, ''],
  ])('to %d B is refused, beyond the reservation or no size at all', async (sizeBytes, message) => {
    const here = await scene();
    const refused = resize(here, sizeBytes);
    await expect(refused).rejects.toThrow(code('INVALID_SIZE'));
    await expect(refused).rejects.toThrow(message);
    expect(state(here)).toEqual(untouched);
  });

  it('is not for channels, nor for those who may not write, nor for a mapping of another id', async () => {
    const here = await scene();
    await channel(here.world, here.owner);
    await expect(resize(here, 100, { name: 'c' })).rejects.toThrow(code('INVALID_STATE'));
    const stranger = here.world.open();
    Object.assign(stranger.peer, { uid: 4711 });
    await expect(resize(here, 3 * PAGE, { caller: stranger })).rejects.toThrow(code('PERMISSION_DENIED'));
    await expect(resize(here, 3 * PAGE, { mappingId: 99n })).rejects.toThrow(code('MAPPING_DELETED'));
    await expect(resize(here, 3 * PAGE, { name: 'other' })).rejects.toThrow(code('MAPPING_NOT_FOUND'));
    expect(state(here)).toMatchObject({ payloadBytes: 5000, charged: 2 * PAGE });
    await resize(here, 3 * PAGE, { mappingId: here.owned.id });
    expect(here.memory.grant.payloadBytes).toBe(3 * PAGE);
  });

  it('beyond a quota is refused before memory is asked for', async () => {
    const here = await scene({ quotas: { total: { bytes: 4 * PAGE } } });
    const asked = hold(here.memory);
    await expect(resize(here, 4 * PAGE)).rejects.toThrow(code('QUOTA_EXCEEDED'));
    asked.goOn();
    expect(state(here)).toEqual(untouched);
    await resize(here, 3 * PAGE);
    expect(state(here)).toEqual(grown(3 * PAGE));
  });

  it('that the machine has no memory for leaves size and charge as they were', async () => {
    const here = await scene();
    here.world.memory.availableBytes = 2 * PAGE;
    await expect(resize(here, 5 * PAGE)).rejects.toThrow(code('OUT_OF_MEMORY'));
    expect(state(here)).toEqual(untouched);
    here.world.memory.availableBytes = 2 ** 40;
    hold(here.memory).fail(new OsError('posix_fallocate', 28, 'ENOSPC'));
    await expect(resize(here, 5 * PAGE)).rejects.toMatchObject({
      code: 'OUT_OF_MEMORY',
      metadata: { call: 'posix_fallocate', errno: 'ENOSPC' },
    });
    expect(state(here)).toEqual(untouched);
    expect(here.owned.growing).toBeNull();
    here.memory.resizing = Promise.resolve();
    await resize(here, 5 * PAGE);
  });

  it('is charged while it is on its way', async () => {
    const here = await scene();
    const held = hold(here.memory);
    const resizing = resize(here, 6 * PAGE);
    await settled();
    expect(state(here)).toEqual({ payloadBytes: 5000, charged: 6 * PAGE, total: 6 * PAGE });
    held.goOn();
    await resizing;
  });
});

describe('making a mapping smaller', () => {
  it('charges what is left, to the page', async () => {
    const here = await scene();
    await resize(here, 9 * PAGE);
    await resize(here, PAGE + 1, { holdId: await lease(here) });
    expect(state(here)).toEqual(grown(PAGE + 1));
  });

  it('needs the exclusive lease of the session that asks', async () => {
    const here = await scene();
    const other = here.world.open();
    const refused = async (more: Parameters<typeof resize>[2]) => {
      await expect(resize(here, 1, more)).rejects.toThrow(code('LEASE_REQUIRED'));
      expect(state(here)).toEqual(untouched);
    };
    await refused({});
    await refused({ holdId: 12_345n });
    const shared = await lease(here, here.owner, 'shared');
    await refused({ holdId: shared });
    releaseLease(here.world.core, here.owner, { mappingId: here.owned.id, holdId: shared }, { markClean: false });
    const foreign = await lease(here, other);
    await refused({ holdId: foreign });
    releaseLease(here.world.core, other, { mappingId: here.owned.id, holdId: foreign }, { markClean: false });
    await refused({ caller: other, holdId: foreign });
    await resize(here, 1, { caller: other, holdId: await lease(here, other) });
    expect(state(here)).toEqual(grown(1));
  });

  it('is looked at when its turn comes: a lease that is gone by then does not do', async () => {
    const here = await scene();
    const holdId = await lease(here);
    const held = hold(here.memory);
    const first = resize(here, 3 * PAGE);
    const second = expect(resize(here, 1, { holdId })).rejects.toThrow(code('LEASE_REQUIRED'));
    releaseLease(here.world.core, here.owner, { mappingId: here.owned.id, holdId }, { markClean: false });
    held.goOn();
    await first;
    await second;
    expect(state(here)).toEqual(grown(3 * PAGE));
  });

  it('that fails halfway charges what is left, and tells whoever watches', async () => {
    const here = await scene();
    await resize(here, 9 * PAGE);
    const holdId = await lease(here);
    const told: string[] = [];
    const watcher = { changed: (change: string) => told.push(change), synced: () => undefined };
    watchMappings(here.world.core, here.owner, '', watcher);
    here.memory.shrink = async () => {
      here.memory.grant = { ...here.memory.grant, payloadBytes: 4 * PAGE, mappedBytes: 4 * PAGE };
      throw new OsError('fallocate', 1, 'EPERM', 'punching a hole');
    };
    const failed = resize(here, 1, { holdId });
    await expect(failed).rejects.toMatchObject({ code: 'INTERNAL', metadata: { call: 'fallocate', errno: 'EPERM' } });
    await expect(failed).rejects.toThrow('fallocate failed: EPERM');
    expect(state(here)).toEqual(grown(4 * PAGE));
    expect(told).toEqual(['created', 'changed']);
  });

  it('is refused on large pages while others have them attached past the lock, and says how many', async () => {
    const here = await scene({ largePages: true });
    const [reader, lessee] = [here.world.open(), here.world.open()];
    const holdId = await lease(here);
    await attach(here, here.owner);
    await attach(here, lessee, true);
    await resize(here, 4999, { holdId });
    const attachment = await attach(here, reader);
    await expect(resize(here, 1, { holdId })).rejects.toMatchObject({
      code: 'INVALID_STATE',
      metadata: { attachments: '1' },
    });
    expect(here.memory.grant.payloadBytes).toBe(4999);
    await resize(here, 3 * PAGE);
    detachMapping(here.world.core, reader, attachment.id);
    await resize(here, 1, { holdId });
    expect(here.memory.grant.payloadBytes).toBe(1);
  });

  it('is refused on large pages while a process whose session is over can still touch them', async () => {
    const here = await scene({ largePages: true });
    const { core } = here.world;
    const [reader, lessee] = [here.world.open(), here.world.open()];
    const holdId = await lease(here);
    await attach(here, reader);
    await attach(here, lessee, true);
    for (const left of [reader, lessee]) core.endSession(left, false);
    const refused = (attachments: string) =>
      expect(resize(here, 1, { holdId })).rejects.toMatchObject({ code: 'INVALID_STATE', metadata: { attachments } });
    await refused('2');
    core.processGone(reader);
    await refused('1');
    expect(here.memory.grant.payloadBytes).toBe(5000);
    core.processGone(lessee);
    await resize(here, 1, { holdId });
    expect(here.memory.grant.payloadBytes).toBe(1);
  });

  it('is no danger on base pages, whoever has them attached', async () => {
    const here = await scene();
    await attach(here, here.world.open());
    await resize(here, 1, { holdId: await lease(here) });
    expect(state(here)).toEqual(grown(1));
  });
});
