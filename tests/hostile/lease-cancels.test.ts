/** A thousand requests for one lease, cancelled at any moment of theirs: nothing is held by them, and nothing stays. */
import { type Broker, connect, type Lease, type LeaseholdError, type Mapping } from '@leasehold/client';
import { LeaseMode } from '@leasehold/proto';
import { expect, it, onTestFinished } from 'vitest';
import { startBroker } from '../support/broker-process.ts';
import { newSeed, seededRandom } from '../support/checked-frames.ts';
import { type LeaseSession, leaseSession, locked } from './lease-sessions.ts';

const REQUESTS = 1_000;
const AT_ONCE = 20;
const TURNS_MAX = 40;
const WAIT_MS = 60_000;

/** What asks, and gives back what it gets. */
type Request = (mode: 'shared' | 'exclusive', signal: AbortSignal) => Promise<unknown>;

const inMemory =
  (mapping: Mapping): Request =>
  async (mode, signal) => {
    const lease: Lease = await mapping.lease(mode as 'shared', { waitMs: WAIT_MS, signal });
    expect(lease.release()).toBe(true);
  };

const byRpc =
  (session: LeaseSession): Request =>
  async (mode, signal) => {
    const request = { mode: LeaseMode[mode === 'shared' ? 'SHARED' : 'EXCLUSIVE'], waitMs: BigInt(WAIT_MS) };
    const { mappingId, holdId } = await session.acquire('m', request, signal);
    await session.leases.releaseLease({ mappingId, holdId }, session.options);
  };

/** Asks many times, and cancels each time after some turns of the event loop. @returns the codes that requests failed with */
async function storm(request: Request, random: () => number, afterEach: () => Promise<void>): Promise<Set<string>> {
  const codes = new Set<string>();
  const one = async (): Promise<void> => {
    const cancel = new AbortController();
    const asked = request(random() < 0.3 ? 'shared' : 'exclusive', cancel.signal).catch(
      (error: LeaseholdError) => void codes.add(error.code),
    );
    for (let turns = Math.floor(random() * TURNS_MAX); turns > 0; turns -= 1) await new Promise(setImmediate);
    cancel.abort();
    await asked;
  };
  for (let asked = 0; asked < REQUESTS; asked += AT_ONCE) {
    await Promise.all(Array.from({ length: AT_ONCE }, one));
    await afterEach();
  }
  return codes;
}

async function stage() {
  const process = await startBroker();
  const { runtimeDir } = process;
  const broker = await connect({ runtimeDir });
  onTestFinished(() => broker.close());
  const mapping = await broker.createMapping('m', { sizeBytes: 4096, pages: 'never', persistent: true });
  // Warm: what a first lease costs is there for good.
  for (const mode of ['shared', 'exclusive'] as const) (await mapping.lease(mode as 'shared')).release();
  return { process, runtimeDir, broker, mapping };
}

/** Who takes part, and what the broker has open. */
async function level(broker: Broker, process: { fdCount(): number }) {
  const { info } = await broker.mapping('m');
  return { fds: process.fdCount(), readers: info.readers, writers: info.writers };
}

it(`${REQUESTS} of a process that maps the memory leave nothing held, at any moment`, async () => {
  const seed = newSeed();
  const { process, broker, mapping } = await stage();
  const before = await level(broker, process);
  const codes = await storm(inMemory(mapping), seededRandom(seed), async () => {
    expect(await locked(broker, 'm'), `seed ${seed}`).toEqual({ holders: [], waiters: [] });
  });
  expect([...codes], `seed ${seed}`).toEqual(['ABORTED']);
  const lease = mapping.tryLease('exclusive');
  expect(lease?.previousOwnerDied, `seed ${seed}`).toBe(false);
  lease?.release();
  await expect.poll(() => level(broker, process), { timeout: 60_000 }).toEqual(before);
});

it(`${REQUESTS} by RPC leave nothing that their session cannot find and release, and nothing when it ends`, async () => {
  const seed = newSeed();
  const { process, runtimeDir, broker, mapping } = await stage();
  const before = await level(broker, process);
  const session = await leaseSession(runtimeDir);
  const { id: mappingId } = mapping.info;
  /** A cancellation may cross its answer: who cancels looks what he was given, until there is nothing any more. */
  const giveBack = async () => {
    const { holders, waiters } = await locked(broker, 'm');
    for (const holdId of holders) await session.leases.releaseLease({ mappingId, holdId }, session.options);
    return [...holders, ...waiters];
  };
  const codes = await storm(byRpc(session), seededRandom(seed), async () => {
    await expect.poll(giveBack, { timeout: 60_000 }).toEqual([]);
  });
  expect([...codes], `seed ${seed}`).toEqual(['ABORTED']);
  await session.close();
  const lease = await mapping.lease('exclusive', { waitMs: WAIT_MS });
  expect(lease.previousOwnerDied, `seed ${seed}`).toBe(false);
  lease.release();
  await expect.poll(() => level(broker, process), { timeout: 60_000 }).toEqual(before);
});
