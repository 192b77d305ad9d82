import { FREE, RESERVED } from '@leasehold/shm-core/internal';
import { describe, expect, it } from 'vitest';
import type { Attachment } from './attachment.ts';
import { releaseLease } from './lease-operations.ts';
import type { LockWaiter } from './mapping-lock.ts';
import { detachMapping } from './mapping-operations.ts';
import type { OwnedMapping } from './owned-mapping.ts';
import type { Session, SessionEvent } from './session.ts';
import { channel, code, publish, settled } from './testing/channel-world.ts';
import { type FakeWorld, fakeWorld } from './testing/fake-ports.ts';
import { acquire, attach, holdId, holdInMemory, mapping } from './testing/leases.ts';

/** A mapping, and seats of several sessions at its lock. */
async function locked(seatCount: number) {
  const world = fakeWorld();
  const owner = world.open();
  const { mapping: owned, memory } = await mapping(world, owner);
  const sessions: Session[] = [];
  const seats: Attachment[] = [];
  for (let count = 0; count < seatCount; count += 1) {
    const session = world.open();
    sessions.push(session);
    seats.push(await attach(world, session));
  }
  const seat = (number: number): Attachment => seats[number] ?? fail(`no seat ${number}`);
  const hold = (number: number, mode: 'shared' | 'exclusive', ttlMs = 1000): bigint => {
    const id = holdId(seat(number), 1);
    holdInMemory(
      { lock: memory.lock, memory, clock: world.clock },
      { id, mode, index: seat(number).place.index, ttlMs },
    );
    return id;
  };
  return { world, owned, memory, lock: memory.lock, sessions, seat, hold };
}

function fail(why: string): never {
  throw new Error(why);
}

/** Waits for the lock, and keeps what it is told. */
function wait(owned: OwnedMapping, attachment: Attachment, mode: 'shared' | 'exclusive', serial = 2) {
  const told: string[] = [];
  const id = holdId(attachment, serial);
  const waiter: LockWaiter = {
    granted: ({ dirty }) => told.push(dirty === 0n ? 'granted' : 'granted, dirty'),
    refused: ({ code: why }) => told.push(why),
  };
  owned.lock.request(attachment, { id, mode, ttlMs: 1000 }, waiter);
  return { id, told };
}

const lostEvents = (session: Session): SessionEvent[] => {
  const events: SessionEvent[] = [];
  session.watch((event) => events.push(event));
  return events.filter(({ kind }) => kind === 'lease-lost');
};

describe('whoever waits for the lock', () => {
  it('has it when its holder has released it in memory and rung', async () => {
    const { world, owned, lock, seat, hold } = await locked(2);
    const held = hold(0, 'exclusive');
    const { told, id } = wait(owned, seat(1), 'exclusive');
    expect(told).toEqual([]);
    lock.casHolder(held, FREE);
    world.core.lockReleased();
    expect(told).toEqual(['granted']);
    expect(lock.holder).toBe(id);
    expect(lock.queued).toBe(false);
    expect(world.clock.pendingTimers).toBe(0);
  });

  it('has it soon when its holder was stopped before it could ring', async () => {
    const { world, owned, lock, seat, hold } = await locked(2);
    const held = hold(0, 'exclusive', 60_000);
    const { told } = wait(owned, seat(1), 'exclusive');
    lock.casHolder(held, FREE);
    world.clock.advance(50);
    expect(told).toEqual(['granted']);
  });

  it('is looked after less and less often while nothing happens, at least once a second', async () => {
    const { world, owned, lock, seat, hold } = await locked(2);
    const held = hold(0, 'exclusive', 3_600_000);
    const { told } = wait(owned, seat(1), 'exclusive');
    for (let seconds = 0; seconds < 100; seconds += 1) world.clock.advance(1000);
    lock.casHolder(held, FREE);
    world.clock.advance(999);
    expect(told).toEqual([]);
    world.clock.advance(1);
    expect(told).toEqual(['granted']);
  });

  it('has it at the deadline of who overstays, and not before', async () => {
    const { world, owned, sessions, seat, hold } = await locked(2);
    const held = hold(0, 'exclusive', 777);
    const { told } = wait(owned, seat(1), 'exclusive');
    for (let ms = 0; ms < 776; ms += 1) world.clock.advance(1);
    expect(told).toEqual([]);
    world.clock.advance(1);
    expect(told).toEqual(['granted, dirty']);
    expect(owned.lock.removalOf(held)).toBe('EXPIRED');
    expect(lostEvents(sessions[0] ?? fail('no session'))).toMatchObject([{ holdId: held, reason: 'EXPIRED' }]);
  });

  it('keeps newcomers out while it waits for readers to leave', async () => {
    const { world, owned, memory, lock, seat, hold } = await locked(3);
    const reading = hold(0, 'shared', 60_000);
    const writer = wait(owned, seat(1), 'exclusive');
    const reader = wait(owned, seat(2), 'shared');
    expect([lock.holder, lock.queued]).toEqual([RESERVED, true]);
    memory.participant(0)?.page.casSharedHold(reading, FREE);
    world.core.lockReleased();
    expect([writer.told, reader.told]).toEqual([['granted'], []]);
    expect(owned.lock.cancel(writer.id)).toBe('released');
    expect(reader.told).toEqual(['granted']);
  });

  it('is granted together with the readers before and after it, when it reads', async () => {
    const { owned, lock, seat, hold } = await locked(5);
    const held = hold(0, 'exclusive');
    const readers = [1, 2].map((number) => wait(owned, seat(number), 'shared'));
    const writer = wait(owned, seat(3), 'exclusive');
    const late = wait(owned, seat(4), 'shared');
    lock.casHolder(held, FREE);
    owned.lock.pump();
    expect(readers.map(({ told }) => told)).toEqual([['granted'], ['granted']]);
    expect([writer.told, late.told]).toEqual([[], []]);
  });

  it('can wait once', async () => {
    const { owned, seat, hold } = await locked(2);
    hold(0, 'exclusive');
    wait(owned, seat(1), 'exclusive');
    expect(() => wait(owned, seat(1), 'shared', 3)).toThrow(code('INVALID_STATE'));
  });

  it('is told when its session ends, and is in nobody’s way', async () => {
    const { world, owned, lock, sessions, seat, hold } = await locked(3);
    const held = hold(0, 'exclusive');
    const dying = wait(owned, seat(1), 'exclusive');
    const next = wait(owned, seat(2), 'shared');
    world.core.endSession(sessions[1] ?? fail('no session'), false);
    expect(dying.told).toEqual(['LEASE_LOST']);
    lock.casHolder(held, FREE);
    owned.lock.pump();
    expect([dying.told, next.told]).toEqual([['LEASE_LOST'], ['granted']]);
  });

  it('is told when it takes its request back', async () => {
    const { owned, lock, seat, hold, world } = await locked(2);
    hold(0, 'shared', 60_000);
    const waiting = wait(owned, seat(1), 'exclusive');
    expect(owned.lock.cancel(waiting.id)).toBe('dropped');
    expect(waiting.told).toEqual(['ABORTED']);
    expect([lock.holder, lock.queued, world.clock.pendingTimers]).toEqual([FREE, false, 0]);
  });
});

describe('a hold', () => {
  it('that its owner gives up by detaching is released, not removed', async () => {
    const { world, owned, lock, sessions, seat, hold } = await locked(1);
    const held = hold(0, 'exclusive');
    detachMapping(world.core, sessions[0] ?? fail('no session'), seat(0).id);
    expect([lock.holder, lock.dirty, owned.lock.removalOf(held)]).toEqual([FREE, 0n, null]);
  });

  it('whose session ended is removed at once, and the data is in doubt until a writer says otherwise', async () => {
    const { world, owned, lock, sessions, seat, hold } = await locked(2);
    const held = hold(0, 'exclusive', 60_000);
    const { told } = wait(owned, seat(1), 'exclusive');
    world.core.endSession(sessions[0] ?? fail('no session'), false);
    expect(told).toEqual(['granted, dirty']);
    expect(lock.dirty).toBe(held);
    expect(owned.lock.markClean()).toBe(true);
    expect(owned.lock.markClean()).toBe(false);
    expect(lock.dirty).toBe(0n);
  });

  it('that a process took after its session was over goes with the process', async () => {
    const { world, lock, sessions, hold } = await locked(1);
    const session = sessions[0] ?? fail('no session');
    world.core.endSession(session, false);
    const late = hold(0, 'exclusive');
    expect(lock.holder).toBe(late);
    world.core.processGone(session);
    expect([lock.holder, lock.dirty]).toEqual([FREE, late]);
  });

  it('can be renewed past its deadline while nobody waits, and not once it was removed', async () => {
    const { world, owned, seat, hold } = await locked(2);
    const held = hold(0, 'exclusive', 100);
    world.clock.advance(5000);
    expect(owned.lock.held()).toMatchObject([{ id: held, timeLeftMs: 0 }]);
    expect(owned.lock.renew(held, 200)).toBe(BigInt(world.clock.nowNs()) + 200_000_000n);
    world.clock.advance(200);
    wait(owned, seat(1), 'exclusive');
    expect(owned.lock.renew(held, 200)).toBeNull();
  });

  it('can be taken away by an administrator, and is marked before', async () => {
    const { memory, owned, sessions, hold } = await locked(1);
    const held = hold(0, 'shared');
    expect(owned.lock.revoke(held, 'REVOKED')).toBe(true);
    expect(owned.lock.revoke(held, 'REVOKED')).toBe(false);
    expect(memory.participant(0)?.page.deadline).toBe(2n ** 64n - 2n);
    expect(lostEvents(sessions[0] ?? fail('no session'))).toMatchObject([{ reason: 'REVOKED', mode: 'shared' }]);
  });
});

describe('the lock of a deleted mapping', () => {
  it('is nobody’s: holders are removed, waiters told, later requests refused', async () => {
    const { world, owned, lock, sessions, seat, hold } = await locked(3);
    const held = hold(0, 'exclusive');
    const waiting = wait(owned, seat(1), 'shared');
    const newest = lock.fencingToken;
    world.core.deleteMapping(owned);
    expect(waiting.told).toEqual(['MAPPING_DELETED']);
    expect(wait(owned, seat(2), 'shared').told).toEqual(['MAPPING_DELETED']);
    expect([lock.holder, lock.queued, world.clock.pendingTimers]).toEqual([FREE, false, 0]);
    expect(lostEvents(sessions[0] ?? fail('no session'))).toMatchObject([{ holdId: held, reason: 'MAPPING_DELETED' }]);
    expect(lock.fencingToken).toBeGreaterThan(newest);
  });

  it('hands its tokens on: those of the next mapping of that name are above', async () => {
    const { world, lock, sessions, owned, hold } = await locked(1);
    hold(0, 'exclusive');
    for (let count = 0; count < 50; count += 1) lock.takeToken();
    world.core.deleteMapping(owned);
    const { memory } = await mapping(world, sessions[0] ?? fail('no session'));
    expect(memory.lock.fencingToken).toBeGreaterThanOrEqual(lock.fencingToken);
  });
});

describe('a broker whose fencing tokens are used up', () => {
  it('refuses writers and serves readers', async () => {
    const { world, owned, lock, seat } = await locked(3);
    lock.casFencingToken(lock.fencingToken, world.core.tokens.limit - 1n);
    const last = wait(owned, seat(0), 'exclusive');
    expect(lock.fencingToken).toBe(world.core.tokens.limit);
    owned.lock.cancel(last.id);
    const refused = wait(owned, seat(1), 'exclusive');
    const reader = wait(owned, seat(2), 'shared');
    expect([last.told, refused.told, reader.told]).toEqual([['granted'], ['TOKENS_EXHAUSTED'], ['granted']]);
    expect(lock.holder).toBe(FREE);
  });
});

describe('a standby', () => {
  const publishing = async (world: FakeWorld, ...sessions: Session[]) => {
    const publishers = sessions.map((session) => publish(world, session));
    await settled();
    return publishers;
  };

  it('publishes when the one before it hangs for longer than its lease, and is told so', async () => {
    const world = fakeWorld();
    const [first, second] = [world.open(), world.open()];
    await channel(world, first);
    const [hung, standby] = await publishing(world, first, second);
    world.clock.advance(4999);
    expect(standby?.told).toEqual(['opened', 'queued 1']);
    world.clock.advance(1);
    expect(standby?.told).toEqual(['opened', 'queued 1', 'promoted, previous died']);
    expect(hung?.told.at(-1)).toBe('ended LEASE_LOST');
  });

  it('that takes part twice in one session is not promoted when that session ends', async () => {
    const world = fakeWorld();
    const [both, last] = [world.open(), world.open()];
    await channel(world, both);
    const publishers = await publishing(world, both, both, last);
    world.core.endSession(both, false);
    expect(publishers[1]?.told).toEqual(['opened', 'queued 1', 'ended UNAUTHENTICATED']);
    expect(publishers[2]?.told.at(-1)).toBe('promoted, previous died');
  });
});

describe('a lease by RPC', () => {
  it('of a session that ends is removed even if the session says goodbye', async () => {
    const world = fakeWorld();
    const [owner, caller] = [world.open(), world.open()];
    const { mapping: owned, memory } = await mapping(world, owner);
    const { hold } = await acquire(world, caller);
    world.core.endSession(caller, true);
    expect(memory.lock.dirty).toBe(hold.id);
    expect(releaseLease(world.core, caller, { mappingId: owned.id, holdId: hold.id }, { markClean: false })).toBe(
      'lost',
    );
  });
});
