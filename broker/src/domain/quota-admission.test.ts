import { describe, expect, it } from 'vitest';
import { releaseLease } from './lease-operations.ts';
import { createMapping } from './mapping-operations.ts';
import { resizeMapping } from './resize-operations.ts';
import { channel, publish, settled } from './testing/channel-world.ts';
import { fakeWorld } from './testing/fake-ports.ts';
import { acquire, attach, holdId, mapping } from './testing/leases.ts';

const refused = (used: string) => ({
  code: 'QUOTA_EXCEEDED',
  metadata: { quota: 'leases', whose: 'uid:1000', used, limit: '2', requested: '1' },
});

const tight = () => fakeWorld({ quotas: { perUser: { leases: 2 } } });

describe('the quota of leases', () => {
  it('counts those by RPC alone, held and waited for, until they are given back or their session is over', async () => {
    const world = tight();
    const [a, b] = [world.open(), world.open()];
    await mapping(world, a);
    const used = () => world.core.quota.used('leases', 1000);
    const { hold, mapping: leased } = await acquire(world, a);
    const waiting = acquire(world, b, { waitMs: 60_000 });
    await settled();
    expect(used()).toBe(2);
    await expect(acquire(world, b)).rejects.toMatchObject(refused('2'));
    releaseLease(world.core, a, { mappingId: leased.id, holdId: hold.id }, { markClean: false });
    await waiting;
    expect(used()).toBe(1);
    world.core.endSession(b, true);
    expect(used()).toBe(0);
  });

  it('counts a request that was refused, timed out or cancelled no longer', async () => {
    const world = tight();
    const [a, b] = [world.open(), world.open()];
    await mapping(world, a);
    await acquire(world, a, { ttlMs: 60_000 });
    await expect(acquire(world, b)).rejects.toMatchObject({ code: 'LEASE_HELD' });
    const late = acquire(world, b, { waitMs: 1000 });
    await settled();
    world.clock.advance(1001);
    await expect(late).rejects.toMatchObject({ code: 'LEASE_TIMEOUT' });
    const abort = new AbortController();
    const cancelled = acquire(world, b, { waitMs: 60_000 }, abort);
    await settled();
    abort.abort();
    await expect(cancelled).rejects.toMatchObject({ code: 'ABORTED' });
    expect(world.core.quota.used('leases', 1000)).toBe(1);
  });

  it('counts of an attachment the wait and not the lease, which it may give away in memory', async () => {
    const world = tight();
    const [a, b] = [world.open(), world.open()];
    await mapping(world, a);
    const [held, other] = [await attach(world, a), await attach(world, b)];
    const mine = { attachmentId: held.id, holdId: holdId(held, 1), ttlMs: 60_000 };
    const { hold, mapping: leased } = await acquire(world, a, mine);
    const used = () => world.core.quota.used('leases', 1000);
    expect(used()).toBe(0);
    const waiting = acquire(world, b, { attachmentId: other.id, holdId: holdId(other, 1), waitMs: 60_000 });
    await settled();
    expect(used()).toBe(1);
    releaseLease(world.core, a, { mappingId: leased.id, holdId: hold.id }, { markClean: false });
    await waiting;
    expect(used()).toBe(0);
  });

  it('counts publishers, promoted or not, as long as their rights stand', async () => {
    const world = tight();
    const [a, b] = [world.open(), world.open()];
    await channel(world, a);
    publish(world, a);
    const standby = publish(world, b);
    await settled();
    expect(() => publish(world, b)).toThrow(expect.objectContaining(refused('2')));
    // Its process may still touch what it has; it has no lease and waits for none.
    world.core.attachments.end(standby.attachment, null);
    expect(world.core.quota.used('leases', 1000)).toBe(1);
    expect(world.core.quota.used('participants', 1000)).toBe(2);
  });

  it('is given back when the mapping is deleted', async () => {
    const world = tight();
    const caller = world.open();
    const { mapping: leased } = await mapping(world, caller);
    await acquire(world, caller);
    world.core.deleteMapping(leased);
    expect(world.core.quota.used('leases')).toBe(0);
  });
});

describe('the quota of descriptors', () => {
  it('refuses a session too, by its own name', () => {
    const world = fakeWorld({ quotas: { total: { descriptors: 3 }, perUser: { descriptors: 3 } } });
    world.open();
    expect(() => world.open()).toThrow(
      expect.objectContaining({
        code: 'QUOTA_EXCEEDED',
        metadata: { quota: 'descriptors', whose: 'broker', used: '2', limit: '3', requested: '2' },
      }),
    );
    expect(world.core.quota.used('sessions')).toBe(1);
  });
});

describe('a participant', () => {
  it('is refused when its session has as many as one may have, whatever its user may', async () => {
    const world = fakeWorld({ limits: { attachmentsPerSession: 1 } });
    const [first, second] = [world.open(), world.open()];
    await mapping(world, first);
    await attach(world, first);
    const metadata = { quota: 'participants', whose: 'session:1', used: '1', limit: '1', requested: '1' };
    await expect(attach(world, first)).rejects.toMatchObject({ code: 'QUOTA_EXCEEDED', metadata });
    await attach(world, second);
  });

  it('costs its own user, not the one who made the mapping', async () => {
    const world = fakeWorld();
    const [owner, guest] = [world.open(), world.open({ uid: 0 })];
    await mapping(world, owner);
    const before = world.core.quota.used('bytes', 1000);
    const attachment = await attach(world, guest);
    const { quota } = world.core;
    expect(quota.used('bytes', 1000)).toBe(before);
    expect([quota.used('bytes', 0), quota.used('participants', 0), quota.used('descriptors', 0)]).toEqual([4096, 1, 3]);
    world.core.attachments.vacate(attachment);
    expect([quota.used('bytes', 0), quota.used('participants', 0), quota.used('descriptors', 0)]).toEqual([0, 0, 2]);
  });
});

describe('what a mapping grows by', () => {
  it('is charged to whoever made it, whoever asks for it', async () => {
    const world = fakeWorld({ quotas: { perUser: { bytes: 10 * 4096 } } });
    const [owner, guest] = [world.open(), world.open({ uid: 0 })];
    const common = { name: 'm', pages: 'never', locked: false, numaNode: null, maxParticipants: 0 } as const;
    const { signal } = new AbortController();
    const size = { sizeBytes: 4096n, reserveBytes: 2n ** 20n, lifetime: 'persistent' } as const;
    await createMapping(world.core, owner, { ...common, ...size }, { ifExists: 'fail', signal });
    const resize = (pages: bigint) => {
      const request = { name: 'm', mappingId: 0n, sizeBytes: pages * 4096n, holdId: 0n, onlyGrow: true };
      return resizeMapping(world.core, guest, request, signal);
    };
    // The data, and the lock segment.
    await resize(9n);
    const { quota } = world.core;
    expect([quota.used('bytes', 1000), quota.used('bytes', 0)]).toEqual([10 * 4096, 0]);
    expect(quota.used('reservedBytes', 1000)).toBe(2 ** 20);
    await expect(resize(10n)).rejects.toMatchObject({ metadata: { quota: 'bytes', whose: 'uid:1000' } });
    expect(quota.used('bytes', 1000)).toBe(10 * 4096);
  });
});
