import { describe, expect, it } from 'vitest';
import { releaseLease, renewLease } from './lease-operations.ts';
import { code, settled } from './testing/channel-world.ts';
import { fakeWorld } from './testing/fake-ports.ts';
import { acquire, mapping } from './testing/leases.ts';

const keepDirty = { markClean: false };

describe('the participant that the broker keeps for a session', () => {
  it('serves one lease after the other', async () => {
    const world = fakeWorld();
    const caller = world.open();
    const { mapping: owned } = await mapping(world, caller);
    const first = await acquire(world, caller);
    releaseLease(world.core, caller, { mappingId: owned.id, holdId: first.hold.id }, keepDirty);
    const second = await acquire(world, caller);
    expect(second.hold.attachment).toBe(first.hold.attachment);
    expect(second.hold.id).not.toBe(first.hold.id);
    expect(owned.members.size).toBe(1);
  });

  it('is not free for the next lease because one before is released again', async () => {
    const world = fakeWorld();
    const caller = world.open();
    const { mapping: owned } = await mapping(world, caller);
    const first = await acquire(world, caller, { mode: 'shared' });
    const late = { mappingId: owned.id, holdId: first.hold.id };
    releaseLease(world.core, caller, late, keepDirty);
    const second = await acquire(world, caller, { mode: 'shared' });
    expect(releaseLease(world.core, caller, late, keepDirty)).toBe('lost');
    const third = await acquire(world, caller, { mode: 'shared' });
    expect(third.hold.attachment).not.toBe(second.hold.attachment);
    expect(owned.lock.isHeld(second.hold.id)).toBe(true);
  });

  it('is one for each lease that is held or waited for at a time', async () => {
    const world = fakeWorld();
    const caller = world.open();
    const { mapping: owned } = await mapping(world, caller);
    const readers = await Promise.all([1, 2, 3].map(() => acquire(world, caller, { mode: 'shared' })));
    expect(new Set(readers.map(({ hold }) => hold.attachment)).size).toBe(3);
    for (const { hold } of readers) {
      releaseLease(world.core, caller, { mappingId: owned.id, holdId: hold.id }, keepDirty);
    }
    expect(owned.members.size).toBe(1);
  });

  it('keeps its present lease’s deadline when one before is renewed late', async () => {
    const world = fakeWorld();
    const caller = world.open();
    const { mapping: owned } = await mapping(world, caller);
    const first = await acquire(world, caller);
    const late = { mappingId: owned.id, holdId: first.hold.id };
    releaseLease(world.core, caller, late, keepDirty);
    await acquire(world, caller, { ttlMs: 5000 });
    expect(() => renewLease(world.core, caller, late, 100)).toThrow(code('LEASE_NOT_FOUND'));
    expect(owned.lock.held()[0]?.timeLeftMs).toBe(5000);
  });

  it('does not keep a mapping alive when it is idle', async () => {
    const world = fakeWorld();
    const [owner, caller] = [world.open(), world.open()];
    const { mapping: owned, memory } = await mapping(world, owner, { lifetime: 'last-attachment' });
    const { hold } = await acquire(world, caller);
    world.core.endSession(owner, true);
    expect(memory.closed).toBe(false);
    releaseLease(world.core, caller, { mappingId: owned.id, holdId: hold.id }, keepDirty);
    expect(memory.closed).toBe(true);
    expect(world.core.quota.chargedBytes).toBe(0);
  });

  it('is gone with a session that ended while its page was being made', async () => {
    const world = fakeWorld();
    const [owner, caller] = [world.open(), world.open()];
    const { mapping: owned, memory } = await mapping(world, owner);
    const page = Promise.withResolvers<void>();
    memory.joining = page.promise;
    const refused = expect(acquire(world, caller)).rejects.toThrow(code('UNAUTHENTICATED'));
    await settled();
    world.core.endSession(caller, false);
    page.resolve();
    await refused;
    expect(owned.members.size).toBe(0);
    expect(owned.lock.held()).toEqual([]);
  });

  it('is given back when the mapping is deleted while its page is being made', async () => {
    const world = fakeWorld();
    const [owner, caller] = [world.open(), world.open()];
    const { mapping: owned, memory } = await mapping(world, owner);
    const page = Promise.withResolvers<void>();
    memory.joining = page.promise;
    const refused = expect(acquire(world, caller)).rejects.toThrow(code('MAPPING_DELETED'));
    await settled();
    world.core.deleteMapping(owned);
    page.resolve();
    await refused;
    expect(memory.closed).toBe(true);
    expect(caller.attachments.size).toBe(0);
  });
});
