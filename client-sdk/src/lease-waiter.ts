/** One who waits for a lease: his wish, his bounds, and what becomes of it, once. */
import type { Lease, LeaseStart } from './lease.ts';
import type { LeaseClock } from './lease-clock.ts';

export interface LeaseWish extends LeaseStart {
  /** How long to wait, ms; 0 = not at all; Infinity = for as long as it takes. */
  readonly waitMs: number;
  /** Grants that were lost before they could be used, and refusals that may pass, until it gives up. */
  readonly maxTries: number;
  readonly signal: AbortSignal | undefined;
}

const NS_PER_MS = 1e6;

export class LeaseWaiter {
  readonly wish: LeaseWish;
  /** ns of CLOCK_MONOTONIC. */
  readonly untilNs: number;
  readonly lease: Promise<Lease>;
  tries = 0;
  readonly #settle: PromiseWithResolvers<Lease>;
  readonly #cancelTimer: () => void;
  readonly #onAbort: () => void;

  constructor(
    clock: LeaseClock,
    wish: LeaseWish,
    { onTimeUp, onAbort }: { onTimeUp: () => void; onAbort: (signal: AbortSignal) => void },
  ) {
    const { signal, waitMs } = wish;
    this.wish = wish;
    this.untilNs = clock.nowNs() + waitMs * NS_PER_MS;
    this.#settle = Promise.withResolvers();
    this.lease = this.#settle.promise;
    this.#cancelTimer = Number.isFinite(waitMs) ? clock.after(waitMs, onTimeUp) : () => undefined;
    this.#onAbort = () => (signal === undefined ? undefined : onAbort(signal));
    signal?.addEventListener('abort', this.#onAbort, { once: true });
  }

  grant(lease: Lease): void {
    this.#end();
    this.#settle.resolve(lease);
  }
  /** Nothing happens when it has been settled. */
  refuse(why: unknown): void {
    this.#end();
    this.#settle.reject(why);
  }

  #end(): void {
    this.#cancelTimer();
    this.wish.signal?.removeEventListener('abort', this.#onAbort);
  }
}
