/**
 * How a subscriber waits when there is no frame: which looks it makes before it sleeps.
 *
 *   spin      looks all the time, with a turn of the event loop now and then: one core, the least latency
 *   yield     looks once per turn of the event loop: one core, but other callbacks run between
 *   park      sleeps on the doorbell: no CPU, the kernel's wake-up latency
 *   adaptive  spins for a moment, yields a few turns, then parks
 */
import { setImmediate as nextTurn } from 'node:timers/promises';

export const WaitStrategies = ['adaptive', 'park', 'yield', 'spin'] as const;
export type WaitStrategy = (typeof WaitStrategies)[number];

interface Plan {
  /** Looks in a row before the event loop gets a turn. */
  readonly looksPerTurn: number;
  /** Turns before sleeping. */
  readonly turns: number;
}

const PLANS: Readonly<Record<WaitStrategy, Plan>> = {
  spin: { looksPerTurn: 1_000, turns: Number.POSITIVE_INFINITY },
  yield: { looksPerTurn: 1, turns: Number.POSITIVE_INFINITY },
  park: { looksPerTurn: 1, turns: 0 },
  adaptive: { looksPerTurn: 50, turns: 4 },
};

/**
 * Calls `look` until it gives something, as the strategy says, without sleeping. Null when it is time to sleep, or when `over` says
 * that the wait has ended.
 */
export async function lookAround<T>(
  strategy: WaitStrategy,
  look: () => T | null,
  over: () => boolean,
): Promise<T | null> {
  const { looksPerTurn, turns } = PLANS[strategy];
  for (let turn = 0; turn <= turns; turn += 1) {
    for (let looks = 0; looks < looksPerTurn; looks += 1) {
      const found = look();
      if (found !== null) return found;
    }
    if (turn === turns || over()) return null;
    await nextTurn();
  }
  return null;
}
