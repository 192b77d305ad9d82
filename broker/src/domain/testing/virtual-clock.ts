/** Time that a test moves, one timer at a time and in their order, so that what one timer brings about is there before the next. */
import type { Clock, Timer } from '../ports.ts';

const NS_PER_MS = 1e6;

interface Pending {
  readonly atNs: number;
  readonly action: () => void;
}

export class VirtualClock implements Clock {
  #nowNs = 1_000_000 * NS_PER_MS;
  /** In the order in which they were set. */
  readonly #timers = new Set<Pending>();

  nowMs(): number {
    return this.#nowNs / NS_PER_MS;
  }
  nowNs(): number {
    return this.#nowNs;
  }
  get pendingTimers(): number {
    return this.#timers.size;
  }
  after(delayMs: number, action: () => void): Timer {
    const timer = { atNs: this.#nowNs + Math.ceil(delayMs * NS_PER_MS), action };
    this.#timers.add(timer);
    return { cancel: () => void this.#timers.delete(timer) };
  }

  /** Moves to the earliest timer and runs it, if there is one until then; else moves there. @returns whether one ran */
  step(untilNs: number): boolean {
    let next: Pending | null = null;
    for (const timer of this.#timers) {
      if (timer.atNs <= untilNs && (next === null || timer.atNs < next.atNs)) next = timer;
    }
    this.#nowNs = Math.max(this.#nowNs, next?.atNs ?? untilNs);
    if (next === null) return false;
    this.#timers.delete(next);
    next.action();
    return true;
  }

  /** Whoever set them is gone. */
  forgetTimers(): void {
    this.#timers.clear();
  }
}
