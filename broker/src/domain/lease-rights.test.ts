import { describe, expect, it } from 'vitest';
import { markClean, releaseLease, renewLease, revokeLease } from './lease-operations.ts';
import { deleteMapping } from './mapping-operations.ts';
import { code } from './testing/channel-world.ts';
import { fakeWorld } from './testing/fake-ports.ts';
import { acquire, mapping } from './testing/leases.ts';

const keepDirty = { markClean: false };

describe('what a policy does not allow by name', () => {
  it('tells nobody whether the name is there', async () => {
    const world = fakeWorld({ policy: ({ uid }) => ({ allowed: uid === 1000, why: 'no' }) });
    const guest = world.open({ uid: 1000 });
    await mapping(world, world.open());
    Object.assign(guest.peer, { uid: 7 });
    for (const name of ['m', 'nothing']) {
      await expect(acquire(world, guest, { name })).rejects.toThrow(code('PERMISSION_DENIED'));
      expect(() => markClean(world.core, guest, name)).toThrow(code('PERMISSION_DENIED'));
    }
  });

  it.each([
    ['m', undefined],
    ['another', 'PERMISSION_DENIED'],
  ])('is not revoked either (an administrator of %s)', async (administered, refusal) => {
    const world = fakeWorld({
      policy: (_peer, action, name) => ({ allowed: action !== 'admin' || name === administered, why: 'no' }),
    });
    const caller = world.open();
    const { mapping: owned } = await mapping(world, caller);
    const { hold } = await acquire(world, caller);
    const revoke = () => revokeLease(world.core, caller, { mappingId: owned.id, holdId: hold.id });
    if (refusal === undefined) expect(revoke).not.toThrow();
    else expect(revoke).toThrow(code(refusal));
  });
});

describe('a lease by RPC that is over', () => {
  it('is told to have been lost, also when its participant has left', async () => {
    const world = fakeWorld();
    const [caller, other] = [world.open(), world.open()];
    const { mapping: owned } = await mapping(world, caller);
    const leases = await Promise.all([1, 2].map(() => acquire(world, caller, { mode: 'shared' })));
    const refs = leases.map(({ hold }) => ({ mappingId: owned.id, holdId: hold.id }));
    for (const ref of refs) revokeLease(world.core, caller, ref);
    for (const ref of refs) {
      const revoked = expect.objectContaining({ metadata: expect.objectContaining({ reason: 'REVOKED' }) });
      expect(() => renewLease(world.core, caller, ref, 0)).toThrow(revoked);
      expect(releaseLease(world.core, caller, ref, keepDirty)).toBe('lost');
      expect(() => renewLease(world.core, other, ref, 0)).toThrow(code('LEASE_NOT_FOUND'));
    }
  });

  it('is not told to have expired when it was released', async () => {
    const world = fakeWorld();
    const caller = world.open();
    const { mapping: owned } = await mapping(world, caller);
    const { hold } = await acquire(world, caller);
    const ref = { mappingId: owned.id, holdId: hold.id };
    releaseLease(world.core, caller, ref, keepDirty);
    expect(() => renewLease(world.core, caller, ref, 0)).toThrow(code('LEASE_NOT_FOUND'));
  });
});

describe('the fencing tokens of a name', () => {
  it('rise across its deletion, whatever is done to the wall clock', async () => {
    const world = fakeWorld();
    const caller = world.open();
    const { memory } = await mapping(world, caller);
    const used = memory.lock.fencingToken + 10n ** 9n;
    world.clock.advance(3_600_000);
    memory.lock.casFencingToken(memory.lock.fencingToken, used);
    world.clock.wallOffsetMs = -7_200_000;
    deleteMapping(world.core, caller, 'm');
    await mapping(world, caller);
    expect((await acquire(world, caller)).hold.fencingToken).toBeGreaterThan(used);
  });
});

describe('a lease of a mapping that nobody else keeps', () => {
  it('takes the mapping along when it is revoked', async () => {
    const world = fakeWorld();
    const [creator, caller] = [world.open(), world.open()];
    const { mapping: owned, memory } = await mapping(world, creator, { lifetime: 'last-attachment' });
    const { hold } = await acquire(world, caller);
    world.core.endSession(creator, true);
    expect(world.core.registry.find('m')?.id).toBe(owned.id);
    revokeLease(world.core, caller, { mappingId: owned.id, holdId: hold.id });
    expect(world.core.registry.find('m')?.id).toBeUndefined();
    expect(memory.closed).toBe(true);
  });
});
