/** Bounds of a wait: every wait of the SDK takes a signal and a timeout, and ends with ABORTED or TIMED_OUT. */
import { LeaseholdError } from '@leasehold/proto';

export interface WaitOptions {
  /** Ends the wait with ABORTED, whose cause is the reason; a reason that is a LeaseholdError is thrown as it is. */
  readonly signal?: AbortSignal | undefined;
  /** Ends the wait with TIMED_OUT, ms, from 0; Infinity is no bound. */
  readonly timeoutMs?: number | undefined;
}

/** The longest delay that a timer takes, ms: 24 days. */
const TIMER_MS_MAX = 2 ** 31 - 1;
/** Beyond this a deadline on the wire overflows in its receiver (grpc-js counts it in 32 bits), and means nothing to anybody, ms. */
const RPC_DEADLINE_MS_MAX = 2 ** 30;

/** Bounds that have been checked, as an instant: what is left of them shrinks while a wait has several steps. */
export class Limits {
  readonly signal: AbortSignal | undefined;
  readonly timeoutMs: number | undefined;
  readonly #deadline: number;

  /** @throws LeaseholdError ABORTED when the signal is; INVALID_ARGUMENT for a timeout that is no length of time. */
  constructor(options: WaitOptions) {
    this.signal = options.signal;
    const timeoutMs = checkedTimeout(options.timeoutMs);
    this.timeoutMs = timeoutMs;
    this.#deadline = performance.now() + (timeoutMs ?? Number.POSITIVE_INFINITY);
    throwIfAborted(this.signal);
  }

  /** Time left, ms; never negative, Infinity when unbounded. */
  get leftMs(): number {
    return Math.max(0, this.#deadline - performance.now());
  }
  get aborted(): boolean {
    return this.signal?.aborted === true;
  }
  get over(): boolean {
    return this.aborted || this.leftMs === 0;
  }

  /** What is left, for the next step. */
  rest(): WaitOptions {
    return { signal: this.signal, timeoutMs: Number.isFinite(this.leftMs) ? this.leftMs : undefined };
  }

  /** @throws LeaseholdError ABORTED, TIMED_OUT: waited for `what`. */
  throwIfOver(what: string): void {
    throwIfAborted(this.signal);
    if (this.leftMs === 0) throw timedOut(this.timeoutMs ?? 0, what);
  }
}

function checkedTimeout(timeoutMs: number | undefined): number | undefined {
  if (timeoutMs === undefined || timeoutMs === Number.POSITIVE_INFINITY) return undefined;
  if (timeoutMs >= 0) return Math.min(timeoutMs, TIMER_MS_MAX);
  throw new LeaseholdError('INVALID_ARGUMENT', `timeoutMs must be a number of milliseconds from 0, not ${timeoutMs}`);
}

export const aborted = (signal: AbortSignal): LeaseholdError =>
  signal.reason instanceof LeaseholdError
    ? signal.reason
    : new LeaseholdError('ABORTED', 'the caller aborted', { cause: signal.reason });

export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted === true) throw aborted(signal);
}

export const timedOut = (timeoutMs: number, what: string): LeaseholdError =>
  new LeaseholdError('TIMED_OUT', `waited ${timeoutMs} ms for ${what}`, {
    metadata: { timeoutMs: String(timeoutMs) },
  });

/** The same bounds for an RPC. @throws as `Limits`. */
export function rpcLimits(options: WaitOptions): { signal?: AbortSignal; deadlineMs?: number } {
  const { signal, timeoutMs } = new Limits(options);
  return {
    ...(signal === undefined ? {} : { signal }),
    ...(timeoutMs === undefined || timeoutMs > RPC_DEADLINE_MS_MAX ? {} : { deadlineMs: timeoutMs }),
  };
}

/** `promise`, or the end of the bounds, whichever comes first; then what it still brings goes to `discard`. */
export function withLimits<T>(
  promise: Promise<T>,
  options: WaitOptions,
  what: string,
  discard: (late: T) => void,
): Promise<T> {
  const { signal, timeoutMs } = options;
  return new Promise((resolve, reject) => {
    let over = false;
    const finish = (settle: () => void): void => {
      if (over) return;
      over = true;
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
      settle();
    };
    const onAbort = (): void => finish(() => reject(signal === undefined ? undefined : aborted(signal)));
    const timer =
      timeoutMs === undefined || timeoutMs === Number.POSITIVE_INFINITY
        ? undefined
        : setTimeout(() => finish(() => reject(timedOut(timeoutMs, what))), Math.min(timeoutMs, TIMER_MS_MAX));
    promise.then(
      (value) => (over ? discard(value) : finish(() => resolve(value))),
      (error: unknown) => finish(() => reject(error)),
    );
    if (signal?.aborted === true) onAbort();
    else signal?.addEventListener('abort', onAbort, { once: true });
  });
}
