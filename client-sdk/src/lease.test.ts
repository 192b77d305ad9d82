import { getEventListeners } from 'node:events';
import { describe, expect, it } from 'vitest';
import type { Lease } from './lease.ts';
import { LeaseWorld, TERMS, type WorldSeat } from './testing/lease-world.ts';

const TTL_NS = TERMS.defaultTtlMs * 1e6;

async function world(mode: 'shared' | 'exclusive' = 'exclusive') {
  const made = await LeaseWorld.create();
  return { world: made, mine: await made.seat(mode, 0) };
}

function taken({ queue }: WorldSeat, auto = true): Lease {
  const lease = queue.tryTake(TTL_NS, auto);
  if (lease === null) throw new Error('the lock is not free');
  return lease;
}

/** Another process waits for the lock, or has it. */
async function wanted(of: LeaseWorld, index = 5): Promise<WorldSeat> {
  const other = await of.seat('exclusive', index);
  void other.queue
    .take({ ttlNs: TTL_NS, auto: true, waitMs: 1e6, maxTries: 8, signal: undefined })
    .catch(() => undefined);
  await of.time.pass(1);
  return other;
}

const reasonOf = (lease: Lease): unknown => lease.lost.reason?.metadata?.reason;

describe('the bytes of a lease', () => {
  it('are empty at once when it is released, those kept from before too', async () => {
    const { mine } = await world();
    const lease = taken(mine);
    const { bytes } = lease;
    expect(bytes.length).toBe(4096);
    expect(lease.release()).toBe(true);
    expect([bytes.length, lease.bytes.length]).toEqual([0, 0]);
  });

  it('show the next holder what was written', async () => {
    const { mine } = await world();
    const first = taken(mine);
    (first.bytes as Uint8Array)[9] = 77;
    first.release();
    const second = taken(mine);
    expect(second.bytes[9]).toBe(77);
    expect(second.fencingToken).toBeGreaterThan(first.fencingToken);
  });

  it('are not given to a process that slept while its lease was given away', async () => {
    const { world: all, mine } = await world();
    const lease = taken(mine);
    const { bytes } = lease;
    await wanted(all);
    all.time.sleep(TERMS.defaultTtlMs + 1);
    // The broker removes it, and the ring is lost.
    const look = mine.clock.look;
    mine.clock.look = () => undefined;
    all.pump();
    mine.clock.look = look;
    expect(all.holds).toEqual(['exclusive 5']);
    expect(lease.bytes.length).toBe(0);
    expect(bytes.length).toBe(0);
    expect(reasonOf(lease)).toBe('EXPIRED');
    expect(lease.release()).toBe(false);
    expect(all.holds).toEqual(['exclusive 5']);
  });

  it('are not given once it was taken away, though nobody rang', async () => {
    const { world: all, mine } = await world();
    const lease = taken(mine);
    const { bytes } = lease;
    mine.clock.look = () => undefined;
    all.revoke(all.holdOf(0));
    expect([lease.bytes.length, bytes.length]).toEqual([0, 0]);
    expect(reasonOf(lease)).toBe('REVOKED');
  });

  it('that somebody else transferred are told at the release, and leave the data in doubt', async () => {
    const { world: all, mine } = await world();
    const lease = taken(mine);
    (lease.bytes as Uint8Array<ArrayBuffer>).buffer.transfer();
    expect(() => lease.release()).toThrow(expect.objectContaining({ code: 'VIEW_STOLEN' }));
    expect(all.holds).toEqual([]);
    expect(taken(mine).previousOwnerDied).toBe(true);
  });
});

describe('a lease that renews itself', () => {
  it('lives as long as its process runs, and moves its deadline', async () => {
    const { world: all, mine } = await world();
    const lease = taken(mine);
    await wanted(all);
    for (let each = 0; each < 20; each += 1) {
      await all.time.pass(1_000);
      all.pump();
    }
    expect(lease.lost.aborted).toBe(false);
    expect(lease.timeLeftMs).toBeGreaterThan(TERMS.defaultTtlMs * 0.6);
    expect(all.holds).toEqual(['exclusive 0']);
  });

  it('outlives a breakpoint when nobody waits', async () => {
    const { world: all, mine } = await world();
    const lease = taken(mine);
    const { bytes } = lease;
    all.time.sleep(TERMS.defaultTtlMs * 10);
    await all.time.pass(1);
    expect(lease.lost.aborted).toBe(false);
    expect(bytes.length).toBe(4096);
    expect(lease.timeLeftMs).toBeGreaterThan(0);
  });

  it('ends at its deadline once it is orphaned', async () => {
    const { world: all, mine } = await world('shared');
    const lease = taken(mine);
    lease.orphan();
    await all.time.pass(TERMS.defaultTtlMs - 1);
    expect(lease.lost.aborted).toBe(false);
    await all.time.pass(2);
    expect(reasonOf(lease)).toBe('EXPIRED');
    expect(all.holds).toEqual([]);
  });

  it('stops renewing when the signal aborts that it was asked for with, and forgets the signal at its end', async () => {
    const { world: w, mine } = await world();
    const abort = new AbortController();
    const lease = taken(mine).follow(abort.signal);
    await w.time.pass(2 * TERMS.defaultTtlMs);
    expect(lease.lost.aborted).toBe(false);
    abort.abort();
    await w.time.pass(TERMS.defaultTtlMs);
    expect(reasonOf(lease)).toBe('EXPIRED');
    const { signal } = new AbortController();
    const short = taken(mine).follow(signal);
    expect(getEventListeners(signal, 'abort')).toHaveLength(1);
    short.release();
    expect(getEventListeners(signal, 'abort')).toHaveLength(0);
  });

  it('stops when the broker is lost, is given back in memory at its deadline, and says why', async () => {
    const { world: all, mine } = await world();
    const lease = taken(mine);
    all.brokerLost = new Error('gone') as never;
    await all.time.pass(TERMS.defaultTtlMs + 1);
    expect(reasonOf(lease)).toBe('BROKER_LOST');
    expect(lease.bytes.length).toBe(0);
    expect(all.holds).toEqual([]);
    expect(taken(mine).previousOwnerDied).toBe(true);
  });
});

describe('a lease that is renewed by hand', () => {
  it('expires: its bytes are detached, and the lock stays for the broker to give away as soon as somebody waits', async () => {
    const { world: all, mine } = await world();
    const lease = taken(mine, false);
    const { bytes } = lease;
    await all.time.pass(TERMS.defaultTtlMs + 1);
    expect([bytes.length, reasonOf(lease)]).toEqual([0, 'EXPIRED']);
    expect(all.holds).toEqual(['exclusive 0']);
    await wanted(all);
    expect(all.holds).toEqual(['exclusive 5']);
    expect(all.memory.lock.dirty).not.toBe(0n);
  });

  it('does not stand in its own way after it has expired, and its data is in doubt', async () => {
    const { world: all, mine } = await world();
    taken(mine, false);
    await all.time.pass(TERMS.defaultTtlMs + 1);
    const next = taken(mine);
    expect(next.previousOwnerDied).toBe(true);
    next.markClean();
    next.release();
    expect(taken(mine).previousOwnerDied).toBe(false);
  });

  it('can be renewed late, as long as nobody has taken it', async () => {
    const { world: all, mine } = await world();
    const lease = taken(mine, false);
    all.time.sleep(TERMS.defaultTtlMs * 2);
    lease.renew();
    expect(lease.bytes.length).toBe(4096);
    await all.time.pass(TERMS.defaultTtlMs - 10);
    expect(lease.lost.aborted).toBe(false);
  });

  it('cannot be renewed once it was given away, and says LEASE_LOST', async () => {
    const { world: all, mine } = await world();
    const lease = taken(mine, false);
    await wanted(all);
    all.time.sleep(TERMS.defaultTtlMs + 1);
    all.pump();
    expect(() => lease.renew()).toThrow(expect.objectContaining({ code: 'LEASE_LOST' }));
    expect(all.holds).toEqual(['exclusive 5']);
  });

  it('keeps within the bounds of the broker', async () => {
    const { mine } = await world();
    const lease = taken(mine, false);
    lease.renew(1);
    expect(lease.timeLeftMs).toBe(TERMS.minTtlMs);
    lease.renew(1e9);
    expect(lease.timeLeftMs).toBe(TERMS.maxTtlMs);
    expect(() => lease.renew(0)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }));
    lease.release();
    expect(() => lease.renew()).toThrow(expect.objectContaining({ code: 'CLOSED' }));
  });
});

describe('a lease that is taken away', () => {
  it('tells its holder at the ring, by a signal asked for before or after', async () => {
    const { world: all, mine } = await world();
    const lease = taken(mine);
    const { lost } = lease;
    all.revoke(all.holdOf(0));
    expect(lost.aborted).toBe(true);
    expect(lost).toBe(lease.lost);
    expect(lost.reason).toMatchObject({ code: 'LEASE_LOST', metadata: { reason: 'REVOKED', mapping: 'table' } });
    const later = taken(mine);
    all.revoke(all.holdOf(0), 'MAPPING_DELETED');
    expect(reasonOf(later)).toBe('MAPPING_DELETED');
  });

  it('says so to whoever releases it, once and every time', async () => {
    const { world: all, mine } = await world();
    const lease = taken(mine);
    mine.clock.look = () => undefined;
    all.revoke(all.holdOf(0));
    expect([lease.release(), lease.release()]).toEqual([false, false]);
    expect(reasonOf(lease)).toBe('REVOKED');
  });

  it('was not lost when it was released', async () => {
    const { mine } = await world();
    const lease = taken(mine);
    expect([lease.release(), lease.release()]).toEqual([true, true]);
    expect(lease.lost.aborted).toBe(false);
    expect(mine.clock.all()).toEqual([]);
  });

  it('is given back by `using` and by `await using`', async () => {
    const { world: all, mine } = await world();
    {
      using _lease = taken(mine);
    }
    expect(all.holds).toEqual([]);
    {
      await using _lease = taken(mine);
    }
    expect(all.holds).toEqual([]);
  });
});

describe('a downgrade', () => {
  it('leaves a shared lease, with no writer in between though one waits', async () => {
    const { world: all, mine } = await world();
    const writer = taken(mine);
    const { bytes } = writer;
    await wanted(all);
    const reader = writer.downgrade();
    expect(all.holds).toEqual(['shared 0']);
    expect([bytes.length, writer.bytes.length, reader.bytes.length]).toEqual([0, 0, 4096]);
    expect([reader.mode, reader.fencingToken]).toEqual(['shared', writer.fencingToken]);
    expect(writer.release()).toBe(true);
    expect(all.holds).toEqual(['shared 0']);
    reader.release();
    expect(all.holds).toEqual(['exclusive 5']);
  });

  it('renews itself as the lease before it did', async () => {
    const { world: all, mine } = await world();
    const reader = taken(mine).downgrade();
    await all.time.pass(TERMS.defaultTtlMs * 3);
    expect(reader.lost.aborted).toBe(false);
  });

  it('of a shared lease, and every upgrade, are refused', async () => {
    const { mine } = await world('shared');
    const lease = taken(mine);
    const refused = expect.objectContaining({ code: 'INVALID_STATE' });
    expect(() => lease.downgrade()).toThrow(refused);
    expect(() => lease.upgrade()).toThrow(refused);
    expect(() => lease.markClean()).toThrow(refused);
    expect(lease.release()).toBe(true);
  });
});
