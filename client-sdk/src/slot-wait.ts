/**
 * How a publisher waits for a slot. On a `block` channel it sleeps until a subscriber rings; on an `overwrite` channel, where
 * admission keeps a slot free and releases ring nobody, it looks again every millisecond. Both are bounded.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { LeaseholdError } from '@leasehold/proto';
import { LOOK_AGAIN_MS, type Waiter } from './doorbell.ts';
import { aborted, type Limits } from './limits.ts';

/** How long a wait on an `overwrite` channel lasts unless the caller says otherwise, ms. */
const OVERWRITE_TIMEOUT_MS = 5_000;
const OVERWRITE_RETRY_MS = 1;
/** How soon a publisher looks again while it cannot ask everybody to ring, ms: somebody has just joined, or his page is still missing. */
const UNARMED_RETRY_MS = 5;

/** What the wait needs of its publisher. */
export interface SlotWaitPorts {
  /** Hears subscribers that let go, and the broker. */
  register(): Waiter;
  readonly block: boolean;
  readonly blockTimeoutMs: number;
  /** Asks subscribers to ring. */
  arm(): void;
  /** Whether all who are known now have been asked. */
  isArmed(): boolean;
  /** At the bound: whether something was done that makes another round worth while. */
  makeRoom(): Promise<boolean>;
  /** Why there is no slot after `boundMs`. */
  refusal(boundMs: number): LeaseholdError;
}

/** What `attempt` gives as soon as it gives something; it has been tried before. @throws what it throws; ABORTED; the refusal. */
export async function waitForSlot<T>(attempt: () => T | null, limits: Limits, ports: SlotWaitPorts): Promise<T> {
  const boundMs = limits.timeoutMs ?? (ports.block ? ports.blockTimeoutMs : OVERWRITE_TIMEOUT_MS);
  let deadline = performance.now() + boundMs;
  for (;;) {
    const leftMs = Math.min(LOOK_AGAIN_MS, deadline - performance.now());
    const got = ports.block
      ? await sleepUntilRung(attempt, leftMs, limits.signal, ports)
      : await lookAgain(attempt, limits.signal);
    if (got !== null) return got;
    if (limits.signal?.aborted === true) throw aborted(limits.signal);
    if (performance.now() < deadline) continue;
    if (!(await ports.makeRoom())) throw ports.refusal(boundMs);
    deadline = performance.now() + boundMs;
  }
}

/**
 * IMPORTANT: arm, then look, then sleep. A subscriber that lets go after the look finds the publisher armed, and rings. Whoever joined
 * during the look has not been asked yet: it does not sleep for long then.
 */
async function sleepUntilRung<T>(
  attempt: () => T | null,
  boundMs: number,
  signal: AbortSignal | undefined,
  ports: SlotWaitPorts,
): Promise<T | null> {
  const waiter = ports.register();
  try {
    ports.arm();
    const got = attempt();
    if (got !== null) return got;
    await waiter.wait(ports.isArmed() ? boundMs : Math.min(boundMs, UNARMED_RETRY_MS), signal);
  } finally {
    waiter.cancel();
  }
  return attempt();
}

async function lookAgain<T>(attempt: () => T | null, signal: AbortSignal | undefined): Promise<T | null> {
  await sleep(OVERWRITE_RETRY_MS, undefined, signal === undefined ? {} : { signal }).catch(() => undefined);
  return attempt();
}
