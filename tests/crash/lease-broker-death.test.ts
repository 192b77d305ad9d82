/** The broker killed while leases are held, waited for and wanted: what memory can decide goes on, and nobody waits for what is gone. */
import { type Broker, connect, type Mapping } from '@leasehold/client';
import { describe, expect, it, onTestFinished } from 'vitest';
import { type BrokerProcess, startBroker } from '../support/broker-process.ts';
import { failureOf } from '../support/failure.ts';
import { startWorker, type Worker } from '../support/processes.ts';
import type { ClientQuestion, Granted } from '../workers/lease-client.ts';

const TTL_MS = 2_000;
const LONG_TTL_MS = 60_000;
const NAME = 'crash/orphaned-lease';
const MAPPING_BYTES = 4096;
const MODES = ['exclusive', 'shared'] as const;

const ask = <T>(worker: Worker, question: ClientQuestion): Promise<T> => worker.ask<T>(question);

async function openMapping({ runtimeDir }: BrokerProcess): Promise<{ broker: Broker; mapping: Mapping }> {
  const broker = await connect({ runtimeDir });
  onTestFinished(() => broker.close());
  return { broker, mapping: await broker.createMapping(NAME, { sizeBytes: MAPPING_BYTES, pages: 'never' }) };
}

const client = ({ runtimeDir }: BrokerProcess): Worker => startWorker('lease-client', [runtimeDir, NAME]);

/** Kills the broker, and waits until this process knows. */
async function kill(process: BrokerProcess, { lost }: Broker): Promise<void> {
  const told = new Promise((resolve) => lost.addEventListener('abort', resolve, { once: true }));
  process.child.kill('SIGKILL');
  await Promise.all([process.ended, told]);
}

describe.each(MODES)('when the broker is killed, a holder with %s access', (mode) => {
  it.each(['auto', 'manual'] as const)(
    'renewed %s is told BROKER_LOST at its deadline, and is in nobody’s way',
    async (renew) => {
      const process = await startBroker();
      const { broker, mapping } = await openMapping(process);
      const holder = client(process);
      await ask(holder, { take: mode, options: { ttlMs: TTL_MS, renew } });
      await mapping.prepare('exclusive');
      // Its time is not over before it knows that the broker is gone.
      expect(await ask(holder, 'renew')).toBe(null);
      await kill(process, broker);
      expect(await ask(holder, 'lost')).toMatchObject({ bytes: 0, reason: 'BROKER_LOST', timeLeftMs: 0 });
      expect(await ask(holder, 'renew')).toBe('LEASE_LOST');
      expect(await ask(holder, 'release')).toBe(false);
      const next = mapping.tryLease('exclusive');
      // Nobody removed the writer, and still he is known to have left something half done.
      expect(next?.previousOwnerDied).toBe(mode === 'exclusive');
      expect(next?.release()).toBe(true);
    },
  );

  it('keeps it until then, can renew it by hand, and gives it back itself', async () => {
    const process = await startBroker();
    const { broker, mapping } = await openMapping(process);
    await mapping.prepare(mode);
    const holder = client(process);
    await ask(holder, { take: mode, options: { ttlMs: LONG_TTL_MS } });
    await mapping.prepare('exclusive');
    await kill(process, broker);
    expect(await ask(holder, 'renew')).toBe(null);
    expect(await ask(holder, 'state')).toMatchObject({ bytes: MAPPING_BYTES, reason: null });
    expect(mapping.tryLease('exclusive')).toBe(null);
    expect(await ask(holder, 'release')).toBe(true);
    const next = mapping.tryLease('exclusive');
    expect(next?.previousOwnerDied).toBe(false);
    expect(next?.release()).toBe(true);
  });
});

describe('when the broker is killed', () => {
  it('whoever waits for a lease is told BROKER_LOST, and so is whoever asks for one that is held', async () => {
    const process = await startBroker();
    const { broker, mapping } = await openMapping(process);
    const holder = client(process);
    await ask(holder, { take: 'exclusive', options: { ttlMs: LONG_TTL_MS } });
    const waiting = MODES.map((mode) =>
      failureOf(() => mapping.lease(mode as 'shared', { waitMs: Number.POSITIVE_INFINITY })),
    );
    await expect
      .poll(async () => (await broker.listLeases())[0]?.waiters.length, { timeout: 60_000 })
      .toBe(MODES.length);
    await kill(process, broker);
    for (const failure of await Promise.all(waiting))
      expect(failure).toMatchObject({ code: 'BROKER_LOST', retryable: true });
    for (const mode of MODES) {
      expect(await failureOf(() => mapping.lease(mode as 'shared'))).toMatchObject({ code: 'BROKER_LOST' });
      expect(mapping.tryLease(mode as 'shared')).toBe(null);
    }
    expect(await ask(holder, 'release')).toBe(true);
  });

  it('the lock goes on in memory between processes, and a new broker gives higher tokens than all of them', async () => {
    const first = await startBroker();
    const { broker, mapping } = await openMapping(first);
    const others = [client(first), client(first)];
    for (const each of others) await ask(each, { take: 'shared' }).then(() => ask(each, 'release'));
    for (const each of others) await ask(each, { take: 'exclusive' }).then(() => ask(each, 'release'));
    await mapping.prepare('shared');
    await mapping.prepare('exclusive');
    // Everybody knows everybody's page now.
    for (const each of others) await ask(each, { take: 'exclusive' }).then(() => ask(each, 'release'));
    await kill(first, broker);
    let newest = 0n;
    for (let turn = 0; turn < 50; turn += 1) {
      for (const each of others) {
        const { fencingToken, previousOwnerDied } = await ask<Granted>(each, { take: 'exclusive' });
        expect(previousOwnerDied).toBe(false);
        expect(fencingToken).toBeGreaterThan(newest);
        newest = fencingToken;
        expect(mapping.tryLease('shared')).toBe(null);
        expect(await ask(each, 'release')).toBe(true);
      }
      const readers = [mapping.tryLease('shared'), mapping.tryLease('shared')];
      expect(readers.map((reader) => reader?.fencingToken)).toEqual([newest, newest]);
      expect(await ask(others[0] as Worker, { tryTake: 'exclusive' })).toBe(null);
      expect(readers.map((reader) => reader?.release())).toEqual([true, true]);
    }

    const second = await startBroker([], first.base);
    const { mapping: anew } = await openMapping(second);
    await using lease = await anew.lease('exclusive');
    expect(lease.fencingToken).toBeGreaterThan(newest);
    expect(lease.previousOwnerDied).toBe(false);
    // Another memory of the same name: who still has the old one is in nobody's way here.
    expect(await ask<Granted>(others[0] as Worker, { take: 'exclusive' })).toMatchObject({ previousOwnerDied: false });
    expect(lease.fencingToken >> 48n).toBeGreaterThan(newest >> 48n);
  });
});
