/** Somebody who may write the lock's memory writes nonsense, or floods the broker's doorbell: no other lock is the worse for it. */
import { type Broker, connect, LeaseholdError, type Mapping } from '@leasehold/client';
import { expect, it, onTestFinished } from 'vitest';
import { type BrokerProcess, startBroker } from '../support/broker-process.ts';
import { newSeed } from '../support/checked-frames.ts';
import { startWorker, type Worker } from '../support/processes.ts';
import type { ClientQuestion, Granted } from '../workers/lease-client.ts';
import { normalClient } from './normal-client.ts';

const ROUNDS = 150;
const SCRIBBLES = 100_000;
const ABORT_AFTER_MS = 30;
const MODES = ['shared', 'exclusive'] as const;

async function stage(name: string): Promise<{ process: BrokerProcess; broker: Broker; mapping: Mapping }> {
  const process = await startBroker(['--log-level', 'warn']);
  const broker = await connect({ runtimeDir: process.runtimeDir });
  onTestFinished(() => broker.close());
  return {
    process,
    broker,
    mapping: await broker.createMapping(name, { sizeBytes: 4096, pages: 'never', persistent: true }),
  };
}

const ask = <T>(worker: Worker, question: ClientQuestion): Promise<T> => worker.ask<T>(question);

/** Two processes hand a lease to and fro, each waiting for the other. @returns the newest token */
async function handOver(workers: readonly Worker[], after: bigint): Promise<bigint> {
  let newest = after;
  const [first, second] = workers as [Worker, Worker];
  for (const [holder, waiter] of [
    [first, second],
    [second, first],
  ] as const) {
    const { fencingToken } = await ask<Granted>(holder, { take: 'exclusive' });
    expect(fencingToken).toBeGreaterThan(newest);
    await ask(waiter, { ask: 'exclusive' });
    expect(await ask(holder, 'release')).toBe(true);
    const granted = await ask<Granted>(waiter, 'granted');
    expect(granted.fencingToken).toBeGreaterThan(fencingToken);
    expect(granted.previousOwnerDied).toBe(false);
    newest = granted.fencingToken;
    expect(await ask(waiter, 'release')).toBe(true);
  }
  return newest;
}

/** Wants a lease that may be anything now: gets it, or is told in our own words that it cannot be had. @returns the code, or `ok` */
async function tryLock(mapping: Mapping, mode: (typeof MODES)[number]): Promise<string> {
  try {
    const signal = AbortSignal.timeout(ABORT_AFTER_MS);
    const lease = await mapping.lease(mode as 'shared', { ttlMs: 100, waitMs: 60_000, signal });
    lease.release();
    return 'ok';
  } catch (error) {
    expect(error).toBeInstanceOf(LeaseholdError);
    return (error as LeaseholdError).code;
  }
}

it('one who scribbles over a lock and its pages while others use it stops neither the broker nor another mapping’s lock', async () => {
  const seed = newSeed();
  const { process, broker, mapping } = await stage('scribbled');
  const { runtimeDir } = process;
  const other = await broker.createMapping('other', { sizeBytes: 4096, pages: 'never' });
  const workers = [other, other].map(({ name }) => startWorker('lease-client', [runtimeDir, name]));
  const normal = await normalClient(runtimeDir);
  let newest = await handOver(workers, 0n);
  for (const mode of MODES) await mapping.prepare(mode);
  const scribbler = startWorker('lease-scribbler', [runtimeDir, 'scribbled', String(seed)]);
  expect(await scribbler.ask<number>('start')).toBeGreaterThan(2);
  const outcomes = new Set<string>();
  for (let round = 0; round < ROUNDS || (await scribbler.ask<number>('count')) < SCRIBBLES; round += 1) {
    for (const outcome of await Promise.all(MODES.map((mode) => tryLock(mapping, mode)))) outcomes.add(outcome);
    if (round % 10 !== 0) continue;
    newest = await handOver(workers, newest);
    await normal.works();
    // What it shows of the scribbled one may be nonsense; that it answers is the point.
    await broker.listLeases();
  }
  // It was a lock now and then, and now and then it was none.
  expect(outcomes, `seed ${seed}`).toContain('ok');
  expect(outcomes.size, `seed ${seed}`).toBeGreaterThan(1);
  expect(process.child.exitCode, `seed ${seed}`).toBe(null);
  scribbler.kill('SIGKILL');
  await scribbler.ended;
  newest = await handOver(workers, newest);
  await broker.deleteMapping('scribbled');
  const anew = await broker.createMapping('scribbled', { sizeBytes: 4096, pages: 'never' });
  await using lease = await anew.lease('exclusive');
  expect(lease.previousOwnerDied, `seed ${seed}`).toBe(false);
}, 240_000);

it('a flood of rings on the broker’s doorbell costs nobody who hands a lease over more than time', async () => {
  const { process, mapping } = await stage('rung');
  const { runtimeDir } = process;
  const workers = [mapping, mapping].map(({ name }) => startWorker('lease-client', [runtimeDir, name]));
  const normal = await normalClient(runtimeDir);
  let newest = await handOver(workers, 0n);
  const fds = process.fdCount();
  const ringer = startWorker('hostile-ringer', [runtimeDir]);
  await ringer.ask('start');
  await expect.poll(() => ringer.ask<number>('count'), { timeout: 60_000 }).toBeGreaterThan(10_000);
  for (let round = 0; round < 20; round += 1) {
    newest = await handOver(workers, newest);
    await normal.works();
  }
  ringer.kill('SIGKILL');
  await ringer.ended;
  await handOver(workers, newest);
  expect(process.fdCount()).toBe(fds);
});
