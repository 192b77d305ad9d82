/** Time that passes when a test says so. */
import type { TimeSource } from '../lease-clock.ts';

const NS_PER_MS = 1e6;

interface Timer {
  readonly atNs: number;
  readonly callback: () => void;
}

export class VirtualTime implements TimeSource {
  /** Timers that are set. */
  readonly timers = new Set<Timer>();
  /** How often one was set. */
  timersSet = 0;
  #nowNs = 1e12;

  readonly nowNs = (): number => this.#nowNs;

  after(delayMs: number, callback: () => void): () => void {
    this.timersSet += 1;
    const timer = { atNs: this.#nowNs + delayMs * NS_PER_MS, callback };
    this.timers.add(timer);
    return () => void this.timers.delete(timer);
  }

  /** The process sleeps: time passes, and no timer fires. */
  sleep(ms: number): void {
    this.#nowNs += ms * NS_PER_MS;
  }

  /** Lets time pass, timer by timer, with everything that comes of each. */
  async pass(ms: number): Promise<void> {
    const untilNs = this.#nowNs + ms * NS_PER_MS;
    for (;;) {
      await settled();
      const [next] = [...this.timers].filter(({ atNs }) => atNs <= untilNs).sort((a, b) => a.atNs - b.atNs);
      if (next === undefined) break;
      this.timers.delete(next);
      this.#nowNs = Math.max(this.#nowNs, next.atNs);
      next.callback();
    }
    this.#nowNs = untilNs;
    await settled();
  }
}

/** When everything that needs no time has happened. */
export async function settled(): Promise<void> {
  for (let turns = 0; turns < 4; turns += 1) await new Promise(setImmediate);
}
