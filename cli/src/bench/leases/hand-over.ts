/**
 * A lease that goes from one process to another, exclusive. Whoever has it lets go only when the other is in the broker's queue and
 * has had the time to fall asleep; so that it goes to and fro, and every grant is a hand-over.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { type Broker, type Mapping, monotonicNs } from '@leasehold/client';

/** Nobody waits longer: the other side is gone. */
const WAIT_MS_MAX = 30_000;
/** In which everybody who has nothing to do falls asleep. */
const GAP_MS = 1;

const WAIT = { waitMs: WAIT_MS_MAX, ttlMs: WAIT_MS_MAX } as const;
/** Number of the grant, from 1; when whoever had it before let go, ns. */
const TURN = 0;
const RELEASED_NS = 1;

/** Resolves when somebody waits for it in vain, and everybody has gone to sleep. */
export async function untilSomebodyWaits(broker: Broker, name: string): Promise<void> {
  const deadlineMs = performance.now() + WAIT_MS_MAX;
  const isAwaited = async (): Promise<boolean> =>
    (await broker.listLeases({ prefix: name })).some(({ waiters }) => waiters.length > 0);
  while (!(await isAwaited())) {
    if (performance.now() > deadlineMs) throw new Error(`nobody waited for ${name} within ${WAIT_MS_MAX} ms`);
  }
  await sleep(GAP_MS);
}

/**
 * One side of two, both with the same `count`, which is how often each gets the lease.
 * @returns how long each hand-over to this side took, ns: from just before `release()` there to having it here.
 */
export async function handOver(broker: Broker, mapping: Mapping, count: number): Promise<number[]> {
  const tookNs: number[] = [];
  for (let index = 0; index < count; index += 1) {
    const lease = await mapping.lease('exclusive', WAIT);
    const grantedNs = monotonicNs();
    const words = floatsOf(lease.bytes);
    const turn = (words[TURN] ?? 0) + 1;
    words[TURN] = turn;
    // The first of a batch had nobody before it.
    if (turn % (2 * count) !== 1) tookNs.push(grantedNs - (words[RELEASED_NS] ?? Number.NaN));
    // Nobody comes after the last.
    if (turn % (2 * count) !== 0) await untilSomebodyWaits(broker, mapping.name);
    words[RELEASED_NS] = monotonicNs();
    lease.release();
  }
  return tookNs;
}

const floatsOf = ({ buffer, byteOffset }: Uint8Array): Float64Array => new Float64Array(buffer, byteOffset, 2);

/** Holds it until this process is killed. */
export async function holdUntilKilled(mapping: Mapping): Promise<void> {
  const { bytes } = await mapping.lease('exclusive', WAIT);
  bytes[0] = 1;
}

/** Waits for it behind whoever will be killed. @returns when it was granted, ns of CLOCK_MONOTONIC */
export async function outlive(mapping: Mapping): Promise<number> {
  const lease = await mapping.lease('exclusive', WAIT);
  const grantedNs = monotonicNs();
  if (!lease.previousOwnerDied) throw new Error('the holder was killed, and the next one was not told');
  lease.markClean();
  lease.release();
  return grantedNs;
}
