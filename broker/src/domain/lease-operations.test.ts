import { describe, expect, it } from 'vitest';
import { getLease, listLeases, markClean, releaseLease, renewLease, revokeLease } from './lease-operations.ts';
import { deleteMapping } from './mapping-operations.ts';
import { channel, code, publish, settled } from './testing/channel-world.ts';
import { type FakeWorld, fakeWorld } from './testing/fake-ports.ts';
import { acquire, attach, holdId, mapping } from './testing/leases.ts';

const keepDirty = { markClean: false };
const nobodyLeft = ({ clock, core }: FakeWorld) => {
  expect(clock.pendingTimers).toBe(0);
  expect(core.registry.all().flatMap(({ lock }) => lock.waiting)).toEqual([]);
};

describe('asking for a lease', () => {
  it('keeps its TTL within the bounds of the broker', async () => {
    const world = fakeWorld();
    const caller = world.open();
    const { mapping: owned } = await mapping(world, caller);
    for (const [asked, granted] of [
      [0, 5000],
      [1, 100],
      [700, 700],
      [10 ** 9, 60_000],
    ] as const) {
      const { hold } = await acquire(world, caller, { ttlMs: asked });
      expect(hold.timeLeftMs).toBe(granted);
      expect(owned.lock.held()[0]?.timeLeftMs).toBe(granted);
      releaseLease(world.core, caller, { mappingId: owned.id, holdId: hold.id }, keepDirty);
    }
  });

  it('says who is in the way when it does not wait, and leaves nothing behind', async () => {
    const world = fakeWorld();
    const [holder, caller] = [world.open(), world.open()];
    await mapping(world, holder);
    await acquire(world, holder);
    await expect(acquire(world, caller)).rejects.toThrow('exclusive by "test" (pid 1), 0 others waiting');
    nobodyLeft(world);
  });

  it('waits no longer than asked', async () => {
    const world = fakeWorld();
    const [holder, caller] = [world.open(), world.open()];
    await mapping(world, holder);
    await acquire(world, holder, { ttlMs: 60_000 });
    const refused = expect(acquire(world, caller, { waitMs: 300 })).rejects.toThrow(code('LEASE_TIMEOUT'));
    await settled();
    world.clock.advance(299);
    await settled();
    expect(world.core.registry.require('m').lock.waiting).toHaveLength(1);
    world.clock.advance(1);
    await refused;
    nobodyLeft(world);
  });

  it.each(['before it is asked', 'while its page is made', 'while it waits', 'as it is granted'] as const)(
    'holds nothing when it is cancelled %s',
    async (when) => {
      const world = fakeWorld();
      const [holder, caller] = [world.open(), world.open()];
      const { mapping: owned } = await mapping(world, holder);
      const { hold } = await acquire(world, holder);
      const cancel = new AbortController();
      if (when === 'before it is asked') cancel.abort();
      const refused = expect(acquire(world, caller, { waitMs: 1000 }, cancel)).rejects.toThrow(code('ABORTED'));
      if (when !== 'while its page is made') await settled();
      if (when === 'as it is granted') {
        releaseLease(world.core, holder, { mappingId: owned.id, holdId: hold.id }, keepDirty);
      }
      cancel.abort();
      await refused;
      const held = when === 'as it is granted' ? [] : [hold.id];
      expect(owned.lock.held().map(({ id }) => id)).toEqual(held);
      nobodyLeft(world);
    },
  );

  it('is answered when the request is released by its id', async () => {
    const world = fakeWorld();
    const [holder, caller] = [world.open(), world.open()];
    const { mapping: owned } = await mapping(world, holder);
    await acquire(world, holder);
    const seat = await attach(world, caller);
    const id = holdId(seat, 1);
    const refused = expect(
      acquire(world, caller, { attachmentId: seat.id, holdId: id, waitMs: 3_600_000 }),
    ).rejects.toThrow(code('ABORTED'));
    await settled();
    expect(releaseLease(world.core, caller, { mappingId: owned.id, holdId: id }, keepDirty)).toBe('dropped');
    await refused;
    nobodyLeft(world);
  });

  it('of a participant that waits already is refused, and what it waits for goes on', async () => {
    const world = fakeWorld();
    const [holder, caller] = [world.open(), world.open()];
    const { mapping: owned } = await mapping(world, holder);
    const { hold } = await acquire(world, holder);
    const seat = await attach(world, caller);
    const request = { attachmentId: seat.id, holdId: holdId(seat, 1), waitMs: 1000 };
    const first = acquire(world, caller, request);
    await settled();
    await expect(acquire(world, caller, { ...request, holdId: holdId(seat, 2) })).rejects.toThrow(
      code('INVALID_STATE'),
    );
    await expect(acquire(world, caller, request)).rejects.toThrow(code('INVALID_ARGUMENT'));
    releaseLease(world.core, holder, { mappingId: owned.id, holdId: hold.id }, keepDirty);
    expect((await first).hold.id).toBe(request.holdId);
  });

  it.each([
    ['an id of another participant', { index: 1, serial: 1 }],
    ['an id with no serial', { index: 0, serial: 0 }],
  ])('with %s is refused', async (_what, { index, serial }) => {
    const world = fakeWorld();
    const caller = world.open();
    await mapping(world, caller);
    const seats = [await attach(world, caller), await attach(world, caller)];
    const id = holdId(seats[index] ?? never(), serial);
    await expect(acquire(world, caller, { attachmentId: seats[0]?.id ?? 0n, holdId: id })).rejects.toThrow(
      code('INVALID_ARGUMENT'),
    );
  });

  it('exclusively is refused to an attachment that only reads', async () => {
    const world = fakeWorld();
    const caller = world.open();
    await mapping(world, caller);
    const seat = await attach(world, caller, 'read');
    await expect(acquire(world, caller, { attachmentId: seat.id, holdId: holdId(seat, 1) })).rejects.toThrow(
      code('INVALID_ARGUMENT'),
    );
  });

  it('for a channel is refused: its lease is the publisher’s', async () => {
    const world = fakeWorld();
    const caller = world.open();
    await channel(world, caller);
    await expect(acquire(world, caller, { name: 'c' })).rejects.toThrow(code('INVALID_STATE'));
  });

  it('is refused to whoever may not write', async () => {
    const world = fakeWorld({
      policy: ({ uid }, action) => ({ allowed: uid === 1000 || action !== 'write', why: 'no' }),
    });
    const [owner, guest] = [world.open(), world.open({ uid: 7 })];
    await mapping(world, owner);
    await expect(acquire(world, guest)).rejects.toThrow(code('PERMISSION_DENIED'));
    expect((await acquire(world, guest, { mode: 'shared' })).hold.mode).toBe('shared');
  });

  it('is answered when the mapping is deleted', async () => {
    const world = fakeWorld();
    const [holder, caller] = [world.open(), world.open()];
    const { memory } = await mapping(world, holder);
    await acquire(world, holder);
    const refused = expect(acquire(world, caller, { waitMs: 1000 })).rejects.toThrow(code('MAPPING_DELETED'));
    await settled();
    deleteMapping(world.core, holder, 'm');
    await refused;
    nobodyLeft(world);
    expect(memory.closed).toBe(true);
  });

  it('touches no memory when it is cancelled after the broker has ended', async () => {
    const world = fakeWorld();
    const [holder, caller] = [world.open(), world.open()];
    const { memory } = await mapping(world, holder);
    await acquire(world, holder);
    const cancel = new AbortController();
    const refused = expect(acquire(world, caller, { waitMs: 1000 }, cancel)).rejects.toThrow(code('ABORTED'));
    await settled();
    world.core.close();
    const log = [...memory.log];
    cancel.abort();
    await refused;
    expect(memory.log).toEqual(log);
    expect(memory.lock.queued).toBe(false);
  });

  it('through the participant that the broker keeps is refused', async () => {
    const world = fakeWorld();
    const caller = world.open();
    await mapping(world, caller);
    const { hold } = await acquire(world, caller);
    const proxy = hold.attachment;
    if (proxy === null) throw new Error('nobody holds it');
    const request = { attachmentId: proxy.id, holdId: holdId(proxy, 7) };
    await expect(acquire(world, caller, request)).rejects.toThrow(code('ATTACHMENT_NOT_FOUND'));
  });
});

describe('the end of a session', () => {
  it('grants nothing to the session itself', async () => {
    const world = fakeWorld();
    const caller = world.open();
    const { mapping: owned } = await mapping(world, caller);
    const seat = await attach(world, caller);
    await acquire(world, caller, { attachmentId: seat.id, holdId: holdId(seat, 1) });
    const token = owned.lock.newestToken;
    const refused = expect(acquire(world, caller, { waitMs: 1000 })).rejects.toThrow(code('LEASE_LOST'));
    await settled();
    world.core.endSession(caller, true);
    await refused;
    expect(owned.lock.newestToken).toBe(token);
    expect(owned.lock.dirty).toBe(false);
  });

  it('grants nothing to the session itself, when it waits more than once for what was just released', async () => {
    const world = fakeWorld();
    const [holder, caller] = [world.open(), world.open()];
    const { mapping: owned, memory } = await mapping(world, holder);
    const { hold } = await acquire(world, holder);
    const token = owned.lock.newestToken;
    const requests = [1, 2].map(() => acquire(world, caller, { waitMs: 1000 }));
    const refused = requests.map((request) => expect(request).rejects.toThrow(code('LEASE_LOST')));
    await settled();
    memory.lock.casHolder(hold.id, 0n); // … and the ring is on its way
    world.core.endSession(caller, false);
    await Promise.all(refused);
    expect(owned.lock.newestToken).toBe(token);
    expect(owned.lock.dirty).toBe(false);
  });
});

describe('what a session does with a lease', () => {
  it('is its own affair', async () => {
    const world = fakeWorld();
    const [owner, thief] = [world.open(), world.open()];
    const { mapping: owned } = await mapping(world, owner);
    const { hold } = await acquire(world, owner);
    const ref = { mappingId: owned.id, holdId: hold.id };
    expect(() => renewLease(world.core, thief, ref, 0)).toThrow(code('LEASE_NOT_FOUND'));
    expect(() => releaseLease(world.core, thief, ref, keepDirty)).toThrow(code('LEASE_NOT_FOUND'));
    expect(getLease(world.core, thief, ref).hold.id).toBe(hold.id);
  });

  it('is told why it is over, by whoever asks', async () => {
    const world = fakeWorld();
    const caller = world.open();
    const { mapping: owned } = await mapping(world, caller);
    const { hold } = await acquire(world, caller);
    const ref = { mappingId: owned.id, holdId: hold.id };
    revokeLease(world.core, caller, ref);
    expect(() => renewLease(world.core, caller, ref, 0)).toThrow(code('LEASE_LOST'));
    expect(() => getLease(world.core, caller, ref)).toThrow(
      expect.objectContaining({ metadata: expect.objectContaining({ reason: 'REVOKED' }) }),
    );
    expect(() => revokeLease(world.core, caller, ref)).toThrow(code('LEASE_NOT_FOUND'));
  });

  it('makes its data clean only if it writes', async () => {
    const world = fakeWorld({
      policy: ({ uid }, action) => ({ allowed: uid === 1000 || action !== 'admin', why: 'no' }),
    });
    const [admin, guest] = [world.open(), world.open({ uid: 7 })];
    const { mapping: owned } = await mapping(world, admin);
    const { hold } = await acquire(world, admin);
    revokeLease(world.core, admin, { mappingId: owned.id, holdId: hold.id });
    const reading = await acquire(world, guest, { mode: 'shared' });
    expect(reading.dirty).toBe(hold.id);
    expect(() => markClean(world.core, guest, 'm')).toThrow(code('PERMISSION_DENIED'));
    releaseLease(world.core, guest, { mappingId: owned.id, holdId: reading.hold.id }, { markClean: true });
    expect(listLeases(world.core, admin, '')).toEqual([owned]);
    const writing = await acquire(world, guest);
    releaseLease(world.core, guest, { mappingId: owned.id, holdId: writing.hold.id }, { markClean: true });
    expect(listLeases(world.core, admin, '')).toEqual([]);
  });
});

describe('a publisher that takes its request back', () => {
  it('has lost its place', async () => {
    const world = fakeWorld();
    const [publisher, standby] = [world.open(), world.open()];
    const { id } = await channel(world, publisher);
    publish(world, publisher);
    const waiting = publish(world, standby);
    await settled();
    releaseLease(world.core, standby, { mappingId: id, holdId: holdId(waiting.attachment, 1) }, keepDirty);
    expect(waiting.told).toEqual(['opened', 'queued 1', 'ended ABORTED']);
    nobodyLeft(world);
  });
});

function never(): never {
  throw new Error('no such seat');
}
