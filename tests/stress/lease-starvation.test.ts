/** Processes that take and release a lease in tight loops, and others that want it once: everybody is served, in order of coming. */
import { type Broker, connect, type Mapping } from '@leasehold/client';
import { describe, expect, it, onTestFinished } from 'vitest';
import { startWorker, type Worker } from '../support/processes.ts';
import { sharedBroker } from '../support/shared-broker.ts';
import type { ClientQuestion, Granted, LeaseMode, LoopKind } from '../workers/lease-client.ts';

const SERVED = 25;
/** Nobody who keeps his lease for no time keeps others from theirs for as long. */
const WAIT_MS = 60_000;

const { runtimeDir } = sharedBroker();

const ask = <T>(worker: Worker, question: ClientQuestion): Promise<T> => worker.ask<T>(question);
const client = ({ name }: Mapping): Worker => startWorker('lease-client', [runtimeDir, name]);

let mappings = 0;

async function openMapping(): Promise<{ broker: Broker; mapping: Mapping }> {
  const broker = await connect({ runtimeDir });
  onTestFinished(() => broker.close());
  mappings += 1;
  return {
    broker,
    mapping: await broker.createMapping(`stress/starvation-${mappings}`, { sizeBytes: 4096, pages: 'never' }),
  };
}

interface Loop {
  readonly mode: LeaseMode;
  readonly by: LoopKind;
}

/** Starts loops, and resolves when each of them has had the lease. */
async function startLoops(mapping: Mapping, loops: readonly Loop[]): Promise<Worker[]> {
  const workers = loops.map(() => client(mapping));
  await Promise.all(
    workers.map((worker, i) => ask(worker, { loop: loops[i]?.mode ?? 'shared', by: loops[i]?.by ?? 'lease' })),
  );
  return workers;
}

/** A process that wants the lease again and again, and waits for it. @returns when it has had it so often */
async function served(mapping: Mapping, mode: LeaseMode): Promise<void> {
  const worker = client(mapping);
  for (let times = 0; times < SERVED; times += 1) {
    await ask(worker, { take: mode, options: { waitMs: WAIT_MS } });
    expect(await ask(worker, 'release')).toBe(true);
  }
}

const several = (count: number, loop: Loop): Loop[] => Array.from({ length: count }, () => loop);

describe.each([
  { what: 'one writer that never pauses, by lease()', loops: several(1, { mode: 'exclusive', by: 'lease' }) },
  { what: 'one writer that never pauses, by tryLease()', loops: several(1, { mode: 'exclusive', by: 'tryLease' }) },
  { what: 'four writers that never pause', loops: several(4, { mode: 'exclusive', by: 'lease' }) },
  { what: 'four readers that never pause, by lease()', loops: several(4, { mode: 'shared', by: 'lease' }) },
  { what: 'four readers that never pause, by tryLease()', loops: several(4, { mode: 'shared', by: 'tryLease' }) },
  { what: 'readers each of whom always has one lease or two', loops: several(3, { mode: 'shared', by: 'overlap' }) },
] as const)('$what', ({ loops }) => {
  it('starve neither a reader nor a writer, and are not starved by them', async () => {
    const { mapping } = await openMapping();
    const workers = await startLoops(mapping, loops);
    await Promise.all([served(mapping, 'shared'), served(mapping, 'exclusive')]);
    for (const worker of workers) expect(await ask<number>(worker, 'stop')).toBeGreaterThan(0);
  });
});

describe('processes that wait', () => {
  /** Those who wait, in the broker's order. */
  const waiting = async (broker: Broker, { name }: Mapping): Promise<number[]> => {
    const [leases] = await broker.listLeases({ prefix: name });
    return leases?.waiters.map(({ principal }) => principal.pid) ?? [];
  };

  /** Queues one process after the other for the lease that the test holds. */
  async function queueUp(modes: readonly LeaseMode[]) {
    const { broker, mapping } = await openMapping();
    const held = await mapping.lease('exclusive');
    const line: Worker[] = [];
    for (const mode of modes) {
      const worker = client(mapping);
      line.push(worker);
      await ask(worker, { ask: mode });
      await expect.poll(() => waiting(broker, mapping), { timeout: 60_000 }).toEqual(line.map(({ pid }) => pid));
    }
    return { broker, mapping, held, line };
  }

  it('have the lease in the order in which they came', async () => {
    const { broker, mapping, held, line } = await queueUp(Array.from({ length: 6 }, () => 'exclusive'));
    for (const mode of ['shared', 'exclusive'] as const) await mapping.prepare(mode);
    const order: number[] = [];
    const all = line.map(async (worker) => {
      await ask(worker, 'granted');
      order.push(worker.pid);
      await ask(worker, 'release');
    });
    // Free in memory while the broker has not come to it, and theirs all the same.
    const { pid } = await broker.info();
    process.kill(pid, 'SIGSTOP');
    try {
      expect(held.release()).toBe(true);
      expect([mapping.tryLease('exclusive'), mapping.tryLease('shared')]).toEqual([null, null]);
    } finally {
      process.kill(pid, 'SIGCONT');
    }
    await Promise.all(all);
    expect(order).toEqual(line.map(({ pid }) => pid));
  });

  it('as readers next to one another have it together, and nobody passes a writer', async () => {
    const { broker, mapping, held, line } = await queueUp(['shared', 'shared', 'exclusive', 'shared', 'shared']);
    const [first, second, writer, ...last] = line as [Worker, Worker, Worker, ...Worker[]];
    expect(held.release()).toBe(true);
    const tokens = await Promise.all([first, second].map((worker) => ask<Granted>(worker, 'granted')));
    expect(tokens[0]?.fencingToken).toBe(tokens[1]?.fencingToken);
    // Both have it at once; the readers behind the writer do not join them, and neither does a newcomer in memory.
    expect(await waiting(broker, mapping)).toEqual([writer, ...last].map(({ pid }) => pid));
    await mapping.prepare('shared');
    expect(mapping.tryLease('shared')).toBe(null);
    expect(await ask(first, 'release')).toBe(true);
    expect(await waiting(broker, mapping)).toEqual([writer, ...last].map(({ pid }) => pid));
    expect(await ask(second, 'release')).toBe(true);
    const { fencingToken } = await ask<Granted>(writer, 'granted');
    expect(fencingToken).toBeGreaterThan(tokens[0]?.fencingToken ?? 0n);
    expect(await waiting(broker, mapping)).toEqual(last.map(({ pid }) => pid));
    expect(await ask(writer, 'release')).toBe(true);
    for (const worker of last) expect(await ask<Granted>(worker, 'granted')).toMatchObject({ fencingToken });
  });
});
