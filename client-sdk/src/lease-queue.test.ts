import { LeaseholdError } from '@leasehold/proto';
import { describe, expect, it } from 'vitest';
import { LeaseWorld, readerAndWriter, stateOf, TERMS, TTL_NS, taken, wish, writers } from './testing/lease-world.ts';
import { settled } from './testing/virtual-time.ts';

describe('writers of one process', () => {
  it('have the lock one after the other, in the order in which they asked, without asking the broker', async () => {
    const world = await LeaseWorld.create();
    const mine = await world.seat('exclusive', 0);
    const order: string[] = [];
    const write = async (name: string): Promise<void> => {
      using _lease = await mine.queue.take(wish());
      order.push(`${name} begins`);
      await settled();
      order.push(`${name} ends`);
    };
    await Promise.all([write('a'), write('b'), write('c')]);
    expect(order).toEqual(['a begins', 'a ends', 'b begins', 'b ends', 'c begins', 'c ends']);
    expect(world.asked).toEqual([]);
  });

  it('do not let one that came later pass by trying', async () => {
    const world = await LeaseWorld.create();
    const mine = await world.seat('exclusive', 0);
    const first = taken(mine);
    const waiting = mine.queue.take(wish());
    first.release();
    expect(mine.queue.tryTake(TTL_NS, true)).toBeNull();
    (await waiting).release();
  });

  it('are told after their wait that it is this process itself which is in the way', async () => {
    const world = await LeaseWorld.create();
    const mine = await world.seat('exclusive', 0);
    taken(mine);
    const late = mine.queue.take(wish({ waitMs: 50 }));
    const never = mine.queue.take(wish({ waitMs: 0 }));
    const outcomes = Promise.allSettled([late, never]);
    await world.time.pass(51);
    expect(await outcomes).toMatchObject([
      { reason: { code: 'LEASE_TIMEOUT', metadata: { pid: String(process.pid) } } },
      { reason: { code: 'LEASE_HELD' } },
    ]);
  });

  it('do not wait behind a lease that was taken away for longer than a lost ring costs', async () => {
    const { world, mine } = await writers();
    const lease = mine.queue.tryTake(60_000e6, true);
    const waiting = mine.queue.take(wish({ waitMs: 10_000 }));
    const { look } = mine.clock;
    mine.clock.look = () => undefined;
    world.revoke(world.holdOf(0));
    mine.clock.look = look;
    await world.time.pass(1_001);
    expect(lease?.lost.aborted).toBe(true);
    expect(await stateOf(waiting)).toBe('granted');
  });
});

describe('readers of one process', () => {
  it('share one hold, which the last of them gives back', async () => {
    const world = await LeaseWorld.create();
    const mine = await world.seat('shared', 0);
    const [first, second] = [taken(mine), taken(mine)];
    expect(world.holds).toEqual(['shared 0']);
    expect(first.bytes.length + second.bytes.length).toBe(8192);
    expect(first.release()).toBe(true);
    expect(second.bytes.length).toBe(4096);
    expect(world.holds).toEqual(['shared 0']);
    second.release();
    expect(world.holds).toEqual([]);
  });

  it('keep the hold until the last deadline of any of them', async () => {
    const world = await LeaseWorld.create();
    const [mine, other] = [await world.seat('shared', 0), await world.seat('exclusive', 1)];
    const long = mine.queue.tryTake(10_000e6, false);
    const short = mine.queue.tryTake(1_000e6, false);
    await world.time.pass(1_001);
    expect([short?.lost.aborted, long?.lost.aborted]).toEqual([true, false]);
    expect(world.holds).toEqual(['shared 0']);
    const writing = other.queue.take(wish({ waitMs: 60_000 }));
    await world.time.pass(8_000);
    world.pump();
    expect(world.holds).toEqual(['shared 0']);
    await world.time.pass(1_000);
    expect(long?.lost.aborted).toBe(true);
    await writing;
    expect(world.holds).toEqual(['exclusive 1']);
  });

  it('do not join while a writer waits, but come after him, as one group', async () => {
    const world = await LeaseWorld.create();
    const [mine, other] = [await world.seat('shared', 0), await world.seat('exclusive', 1)];
    const reading = taken(mine);
    const writing = other.queue.take(wish({ waitMs: 10_000 }));
    await settled();
    expect(world.waiting).toBe(1);
    const later = [mine.queue.take(wish({ waitMs: 10_000 })), mine.queue.take(wish({ waitMs: 10_000 }))];
    await settled();
    expect(world.holds).toEqual(['shared 0']);
    reading.release();
    const writer = await writing;
    expect(world.holds).toEqual(['exclusive 1']);
    await world.time.pass(1);
    expect(world.asked.filter((what) => what.startsWith('shared'))).toHaveLength(1);
    writer.release();
    const readers = await Promise.all(later);
    expect(readers.map(({ mode }) => mode)).toEqual(['shared', 'shared']);
    expect(world.holds).toEqual(['shared 0']);
    for (const reader of readers) reader.release();
    expect(world.holds).toEqual([]);
  });

  it('that were granted together have each the time that was asked for, no more', async () => {
    const { world, mine, other } = await readerAndWriter();
    const before = taken(mine);
    const writing = other.queue.take(wish());
    await settled();
    const short = mine.queue.take(wish({ ttlNs: 100e6, auto: false }));
    const long = mine.queue.take(wish({ ttlNs: 60_000e6, auto: false }));
    before.release();
    (await writing).release();
    const readers = await Promise.all([short, long]);
    expect(world.asked).toContain('shared, wait 1000, ttl 60000');
    expect(readers.map(({ timeLeftMs }) => timeLeftMs)).toEqual([100, 60_000]);
    await world.time.pass(101);
    expect(readers.map(({ lost }) => lost.aborted)).toEqual([true, false]);
  });

  it('do not wait behind a hold that was taken away while the ring got lost', async () => {
    const { world, mine, other } = await readerAndWriter();
    taken(mine);
    const writing = other.queue.take(wish());
    await settled();
    const joining = mine.queue.take(wish({ waitMs: 1_000 }));
    const { look } = mine.clock;
    mine.clock.look = () => undefined;
    world.revoke(world.holdOf(0));
    mine.clock.look = look;
    (await writing).release();
    await world.time.pass(50);
    expect(await stateOf(joining)).toBe('granted');
  });

  it('join soon after a writer that waited has given up', async () => {
    const world = await LeaseWorld.create();
    const [mine, other] = [await world.seat('shared', 0), await world.seat('exclusive', 1)];
    taken(mine);
    const writing = other.queue.take(wish({ waitMs: 100 })).catch((error: LeaseholdError) => error.code);
    await settled();
    const joining = mine.queue.take(wish({ waitMs: 10_000 }));
    await world.time.pass(200);
    expect(await writing).toBe('LEASE_TIMEOUT');
    expect(await stateOf(joining)).toBe('granted');
  });
});

describe('a wait at the broker', () => {
  it('ends with the lock when it is released, and has its own token', async () => {
    const { world, mine, other } = await writers();
    const holder = taken(other);
    const waiting = mine.queue.take(wish());
    await settled();
    holder.release();
    const lease = await waiting;
    expect(lease.fencingToken).toBeGreaterThan(holder.fencingToken);
    expect(world.holds).toEqual(['exclusive 0']);
  });

  it('that is aborted holds nothing, wherever it is, and ends when that is certain', async () => {
    const { world, mine, other } = await writers();
    const holder = taken(other);
    const controller = new AbortController();
    const waiting = mine.queue.take(wish({ signal: controller.signal }));
    await settled();
    const answered = Promise.withResolvers<void>();
    world.withdrawals = answered.promise;
    controller.abort('enough');
    // The grant comes before the withdrawal does.
    holder.release();
    const next = mine.queue.take(wish());
    expect(await stateOf(waiting)).toBe('waits');
    expect(await stateOf(next)).toBe('waits');
    answered.resolve();
    await expect(waiting).rejects.toMatchObject({ code: 'ABORTED', cause: 'enough' });
    (await next).release();
    expect(world.holds).toEqual([]);
  });

  it('that is aborted in the moment of the grant holds nothing', async () => {
    const { world, mine, other } = await writers();
    const holder = taken(other);
    const controller = new AbortController();
    const waiting = mine.queue.take(wish({ signal: controller.signal }));
    waiting.catch(() => undefined);
    await settled();
    holder.release();
    controller.abort();
    await expect(waiting).rejects.toMatchObject({ code: 'ABORTED' });
    expect(world.holds).toEqual([]);
  });

  it('is not passed by one of the same process that tries while the request is on its way', async () => {
    const { world, mine, other } = await writers();
    const holder = taken(other);
    const delivered = Promise.withResolvers<void>();
    world.requests = delivered.promise;
    const waiting = mine.queue.take(wish());
    await settled();
    holder.release();
    expect(mine.queue.tryTake(TTL_NS, true)).toBeNull();
    delivered.resolve();
    (await waiting).release();
    expect(world.holds).toEqual([]);
  });

  it('is tried again after a refusal that may pass, and no more often than was wished', async () => {
    const { world, mine, other } = await writers();
    const holder = taken(other);
    const busy = () => new LeaseholdError('QUOTA_EXCEEDED', 'too many wait');
    world.refusals.push(busy(), busy());
    const waiting = mine.queue.take(wish({ maxTries: 3, waitMs: 60_000 }));
    await expect.poll(() => world.waiting).toBe(1);
    holder.release();
    (await waiting).release();
    taken(other);
    world.refusals.push(busy(), busy(), busy());
    await expect(mine.queue.take(wish({ maxTries: 3 }))).rejects.toMatchObject({ code: 'QUOTA_EXCEEDED' });
  });

  it('of no time at all asks the broker once', async () => {
    const { world, mine, other } = await writers();
    taken(other);
    const delivered = Promise.withResolvers<void>();
    world.requests = delivered.promise;
    const waiting = mine.queue.take(wish({ waitMs: 0 })).catch((error: LeaseholdError) => error.code);
    // However long the answer takes.
    await world.time.pass(100);
    delivered.resolve();
    await world.time.pass(1);
    expect(await waiting).toBe('LEASE_HELD');
    expect(world.asked).toEqual(['exclusive, wait 0, ttl 5000']);
  });

  it('goes on past the longest wait that the broker grants', async () => {
    const { world, mine, other } = await writers();
    const holder = taken(other);
    world.waitMsMax = 1_000;
    const waiting = mine.queue.take(wish({ waitMs: 3_500 }));
    waiting.catch(() => undefined);
    await world.time.pass(3_000);
    expect(await stateOf(waiting)).toBe('waits');
    await world.time.pass(1_000);
    expect(await stateOf(waiting)).toBe('LEASE_TIMEOUT');
    holder.release();
  });

  it('ends when the place is closed, and nothing is queued any more', async () => {
    const { world, mine, other } = await writers();
    taken(other);
    const waiting = mine.queue.take(wish());
    waiting.catch(() => undefined);
    await settled();
    expect(world.waiting).toBe(1);
    const why = new LeaseholdError('CLOSED', 'closed');
    await mine.queue.close(why);
    await expect(waiting).rejects.toBe(why);
    expect(world.waiting).toBe(0);
    expect(() => mine.queue.tryTake(TTL_NS, true)).toThrow(why);
  });
});

describe('a try', () => {
  it('neither asks for a lease nor waits, and fetches a page that is missing for the next one', async () => {
    const world = await LeaseWorld.create();
    const mine = await world.seat('exclusive', 0);
    await world.seat('shared', 1);
    expect(mine.queue.tryTake(TTL_NS, true)).toBeNull();
    expect(world.holds).toEqual([]);
    await settled();
    expect(world.asked).toEqual(['pages']);
    expect(mine.queue.tryTake(TTL_NS, true)).not.toBeNull();
  });

  it('does not take a page of an earlier participant of the same index for that of the present one', async () => {
    const world = await LeaseWorld.create();
    const mine = await world.seat('exclusive', 0);
    await world.seat('shared', 1);
    expect(mine.queue.tryTake(TTL_NS, true)).toBeNull();
    await settled();
    world.memory.removeParticipant(1);
    const reader = taken(await world.seat('shared', 1));
    expect(mine.queue.tryTake(TTL_NS, true)).toBeNull();
    await settled();
    expect(mine.queue.tryTake(TTL_NS, true)).toBeNull();
    reader.release();
    expect(mine.queue.tryTake(TTL_NS, true)).not.toBeNull();
  });

  it('of a deleted mapping says so', async () => {
    const world = await LeaseWorld.create();
    const mine = await world.seat('exclusive', 0);
    world.memory.markDeleted();
    expect(() => mine.queue.tryTake(TTL_NS, true)).toThrow(expect.objectContaining({ code: 'MAPPING_DELETED' }));
    await expect(mine.queue.take(wish())).rejects.toMatchObject({ code: 'MAPPING_DELETED' });
  });

  it('past the last fencing token is refused, and leaves the lock free', async () => {
    const world = await LeaseWorld.create();
    const mine = await world.seat('exclusive', 0);
    while (world.memory.lock.takeToken() < TERMS.tokenLimit);
    expect(() => mine.queue.tryTake(TTL_NS, true)).toThrow(expect.objectContaining({ code: 'TOKENS_EXHAUSTED' }));
    expect(world.holds).toEqual([]);
  });
});
