/**
 * The time of all leases of a session, on one timer: when to renew, when one has expired. A lease that ends leaves the timer running,
 * so that taking and releasing in a loop costs none; what fires for nobody finds nobody due. A ring means: look at all of them.
 */

/** A lease, or a publisher's, as the clock sees it. */
export interface Timed {
  /** Its place here; -1 when it is not. The clock's own. */
  clockIndex: number;
  /** When it is to be looked at, ns of CLOCK_MONOTONIC. */
  nextEventNs: number;
  /** Its time has come, or passed: moves `nextEventNs` on, or leaves. */
  onTime(nowNs: number): void;
  /** Something may have happened to it. */
  look(): void;
}

/** Where time comes from. */
export interface TimeSource {
  /** CLOCK_MONOTONIC, ns. */
  readonly nowNs: () => number;
  /** Calls back once, and keeps no process alive. @returns what cancels it */
  after(delayMs: number, callback: () => void): () => void;
}

const NS_PER_MS = 1e6;
/** The longest delay that a timer takes, ms. */
const TIMER_MS_MAX = 2 ** 31 - 1;

export class LeaseClock {
  /** CLOCK_MONOTONIC, ns. */
  readonly nowNs: () => number;
  readonly #source: TimeSource;
  readonly #timed: Timed[] = [];
  #armedNs = Number.POSITIVE_INFINITY;
  #disarm: (() => void) | null = null;

  constructor(source: TimeSource) {
    this.#source = source;
    this.nowNs = source.nowNs;
  }

  after(delayMs: number, callback: () => void): () => void {
    return this.#source.after(Math.min(delayMs, TIMER_MS_MAX), callback);
  }

  add(timed: Timed): void {
    timed.clockIndex = this.#timed.push(timed) - 1;
    this.moved(timed);
  }

  /** Its `nextEventNs` has changed. */
  moved(timed: Timed): void {
    if (timed.nextEventNs < this.#armedNs) this.#arm(timed.nextEventNs);
  }

  /** Nothing happens when it is not there. */
  remove(timed: Timed): void {
    const at = timed.clockIndex;
    const last = at < 0 ? undefined : this.#timed.pop();
    if (last === undefined) return;
    if (last !== timed) {
      this.#timed[at] = last;
      last.clockIndex = at;
    }
    timed.clockIndex = -1;
  }

  /** What is timed now, in no order. */
  all(): Timed[] {
    return [...this.#timed];
  }

  /** Somebody rang: every lease looks whether it is still held. */
  look(): void {
    if (this.#timed.length === 0) return;
    for (const timed of this.all()) if (timed.clockIndex >= 0) timed.look();
  }

  close(): void {
    this.#disarm?.();
    this.#disarm = null;
    this.#armedNs = Number.NEGATIVE_INFINITY;
  }

  #arm(atNs: number): void {
    this.#disarm?.();
    this.#armedNs = atNs;
    const delayMs = Math.max(1, Math.ceil((atNs - this.nowNs()) / NS_PER_MS));
    this.#disarm = this.after(delayMs, () => this.#fire());
  }

  #fire(): void {
    this.#disarm = null;
    this.#armedNs = Number.POSITIVE_INFINITY;
    const nowNs = this.nowNs();
    for (const timed of this.all()) {
      if (timed.clockIndex >= 0 && timed.nextEventNs <= nowNs) timed.onTime(nowNs);
    }
    let earliestNs = Number.POSITIVE_INFINITY;
    for (const { nextEventNs } of this.#timed) earliestNs = Math.min(earliestNs, nextEventNs);
    if (earliestNs < this.#armedNs) this.#arm(earliestNs);
  }
}
