/** Taking and giving back leases, as programs do it, on a real broker. */
import { connect, type Lease, type LeaseholdError, type Mapping, monotonicNs } from '@leasehold/client';
import { describe, expect, it } from 'vitest';
import { startBroker } from '../support/broker-process.ts';
import { codeOf, connected, leasePair, leasesOf, SIZE_BYTES, WAIT_MS, waiting } from '../support/lease-pair.ts';
import { sharedBroker } from '../support/shared-broker.ts';

const { runtimeDir } = sharedBroker();
const pair = (name: string, where = runtimeDir) => leasePair(where, name);

describe('a lease', () => {
  it('shows readers what a writer wrote before them, under rising tokens', async () => {
    const { mine, other } = await pair('leases/write-read');
    let token = 0n;
    for (let value = 1; value <= 3; value += 1) {
      {
        await using writer = await mine.lease('exclusive');
        writer.bytes.fill(value);
        expect(writer.fencingToken).toBeGreaterThan(token);
        token = writer.fencingToken;
      }
      await using reader = await other.lease('shared');
      expect([reader.bytes[0], reader.bytes.at(-1), reader.bytes.length]).toEqual([value, value, SIZE_BYTES]);
      expect(reader.fencingToken).toBe(token);
      expect(reader.previousOwnerDied).toBe(false);
    }
  });

  it('has a deadline by the clock of all processes, and as much time as was granted', async () => {
    const { mine } = await pair('leases/deadline');
    using lease = await mine.lease('exclusive', { ttlMs: 1, renew: 'manual' });
    expect(lease.timeLeftMs).toBeLessThanOrEqual(100);
    const endsInMs = (Number(lease.deadlineNs) - monotonicNs()) / 1e6;
    expect(endsInMs).toBeLessThanOrEqual(100);
    lease.renew(60_000);
    expect(lease.timeLeftMs).toBeGreaterThan(30_000);
  });

  it('of a reader lets other readers in, and no writer', async () => {
    const { mine, other } = await pair('leases/readers');
    using _mine = await mine.lease('shared');
    using _other = await other.lease('shared');
    await expect(mine.lease('exclusive', { waitMs: 0 })).rejects.toMatchObject({ code: 'LEASE_HELD' });
  });

  it('that cannot be had in time says who has it', async () => {
    const { mine, other } = await pair('leases/timeout');
    using _lease = await mine.lease('exclusive');
    const refused = other.lease('shared', { waitMs: 20 });
    await expect(refused).rejects.toMatchObject({ code: 'LEASE_TIMEOUT', message: expect.stringContaining('"mine"') });
    await expect(other.lease('shared', { waitMs: -1 })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    await expect(other.lease('both' as 'shared')).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  });

  it('ends with its connection, and the next one is not told of any death', async () => {
    const { mine, other } = await pair('leases/closing');
    const broker = await connect({ runtimeDir });
    const third = await broker.mapping(mine.name);
    const lease = await third.lease('exclusive');
    const { bytes } = lease;
    const next = other.lease('exclusive', { waitMs: WAIT_MS });
    const abandoned = third.lease('exclusive', { waitMs: WAIT_MS });
    const refused = expect(abandoned).rejects.toMatchObject({ code: 'CLOSED' });
    await broker.close();
    await refused;
    expect([bytes.length, lease.bytes.length, lease.lost.aborted]).toEqual([0, 0, false]);
    using got = await next;
    expect(got.previousOwnerDied).toBe(false);
    expect(() => third.tryLease('exclusive')).toThrow(expect.objectContaining({ code: 'CLOSED' }));
    await expect(third.prepare('exclusive')).rejects.toMatchObject({ code: 'CLOSED' });
  });
});

describe('waiters', () => {
  it('are served in the order in which they came, readers together', async () => {
    const { broker, mine, other } = await pair('leases/fifo');
    const third = await (await connected(runtimeDir)).mapping(mine.name);
    const first = await mine.lease('exclusive');
    const order: string[] = [];
    const take = async (of: Mapping, mode: 'shared' | 'exclusive'): Promise<Lease> => {
      const lease = await of.lease(mode as 'shared', { waitMs: WAIT_MS });
      order.push(mode);
      return lease;
    };
    const reading = take(other, 'shared');
    await waiting(broker, mine.name, 1);
    const alsoReading = take(third, 'shared');
    await waiting(broker, mine.name, 2);
    const writing = take(other, 'exclusive');
    await waiting(broker, mine.name, 3);
    const last = take(mine, 'shared');
    await waiting(broker, mine.name, 4);
    const { holders, waiters } = await leasesOf(broker, mine.name);
    expect(holders).toMatchObject([{ mode: 'exclusive', holder: { pid: process.pid, name: 'mine' }, overdue: false }]);
    expect(waiters.map(({ mode, position }) => `${position} ${mode}`)).toEqual([
      '0 shared',
      '1 shared',
      '2 exclusive',
      '3 shared',
    ]);
    first.release();
    const readers = await Promise.all([reading, alsoReading]);
    for (const reader of readers) reader.release();
    (await writing).release();
    (await last).release();
    expect(order).toEqual(['shared', 'shared', 'exclusive', 'shared']);
  });

  it('that are aborted hold nothing, whenever it was', async () => {
    const { broker, mine, other } = await pair('leases/aborted');
    for (let turns = 0; turns < 30; turns += 1) {
      const held = await mine.lease('exclusive');
      const controller = new AbortController();
      const taking = other.lease('exclusive', { signal: controller.signal, waitMs: WAIT_MS });
      for (let each = 0; each < turns; each += 1) {
        await new Promise(setImmediate);
        if (each === 10) held.release();
      }
      controller.abort();
      await taking.then(
        (lease) => lease.release(),
        (error: LeaseholdError) => expect(error.code).toBe('ABORTED'),
      );
      held.release();
      expect(await broker.listLeases({ prefix: mine.name }), `after ${turns} turns`).toEqual([]);
    }
  });

  it('that come while a writer waits do not keep it waiting', async () => {
    const { broker, mine, other } = await pair('leases/no-starving');
    const reader = await mine.lease('shared');
    const writing = other.lease('exclusive', { waitMs: WAIT_MS });
    await waiting(broker, mine.name, 1);
    await mine.prepare('shared');
    expect(mine.tryLease('shared')).toBeNull();
    const later = mine.lease('shared', { waitMs: WAIT_MS });
    reader.release();
    (await writing).release();
    (await later).release();
  });
});

describe('a try', () => {
  it('needs a place in this process, and says how to get one', async () => {
    const { broker, mine } = await pair('leases/unprepared');
    const refused = expect.objectContaining({ code: 'INVALID_STATE', message: expect.stringContaining('prepare') });
    expect(() => mine.tryLease('exclusive')).toThrow(refused);
    await Promise.all([mine.prepare('exclusive'), mine.prepare('exclusive')]);
    // Both have come to the same place.
    expect((await broker.mapping(mine.name)).info.writers).toBe(1);
    expect(mine.tryLease('exclusive')?.release()).toBe(true);
    expect(() => mine.tryLease('shared')).toThrow(refused);
  });

  it('in no mode that there is, is refused', async () => {
    const { mine } = await pair('leases/no-mode');
    await mine.prepare('exclusive');
    expect(() => mine.tryLease('Shared' as 'shared')).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }));
  });

  it('can be prepared only while the broker answers, but the wait for it has a bound', async () => {
    const process = await startBroker();
    const { mine, other } = await pair('leases/bounded-prepare', process.runtimeDir);
    await mine.prepare('exclusive');
    await other.prepare('shared');
    process.child.kill('SIGSTOP');
    const preparing = mine.prepare('exclusive', { timeoutMs: 50 }).then(() => 'prepared', codeOf);
    const aborted = mine.prepare('exclusive', { signal: AbortSignal.timeout(50) }).then(() => 'prepared', codeOf);
    try {
      expect(await Promise.all([preparing, aborted])).toEqual(['TIMED_OUT', 'ABORTED']);
    } finally {
      process.child.kill('SIGCONT');
    }
  });

  it('asks nobody: it takes and gives back while the broker is stopped', async () => {
    const process = await startBroker();
    const { mine, other } = await pair('leases/stopped', process.runtimeDir);
    await Promise.all([mine.prepare('exclusive'), other.prepare('exclusive'), other.prepare('shared')]);
    await Promise.all([mine.prepare('exclusive'), other.prepare('exclusive')]);
    process.child.kill('SIGSTOP');
    try {
      const writer = mine.tryLease('exclusive');
      writer?.bytes.fill(9);
      expect([other.tryLease('exclusive'), other.tryLease('shared')]).toEqual([null, null]);
      expect(writer?.release()).toBe(true);
      const reader = other.tryLease('shared');
      expect(reader?.bytes[0]).toBe(9);
      expect(mine.tryLease('exclusive')).toBeNull();
      expect(reader?.release()).toBe(true);
    } finally {
      process.child.kill('SIGCONT');
    }
  });
});
