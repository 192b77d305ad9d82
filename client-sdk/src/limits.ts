/** Bounds of a wait: every wait of the SDK takes a signal and a timeout, and ends with ABORTED or TIMED_OUT. */
import { LeaseholdError } from '@leasehold/proto';

export interface WaitOptions {
  /** Ends the wait with ABORTED; its reason is the cause. */
  readonly signal?: AbortSignal | undefined;
  /** Ends the wait with TIMED_OUT, ms. */
  readonly timeoutMs?: number | undefined;
}

export const aborted = (signal: AbortSignal): LeaseholdError =>
  new LeaseholdError('ABORTED', 'the caller aborted', { cause: signal.reason });

export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted === true) throw aborted(signal);
}

export const timedOut = (timeoutMs: number, what: string): LeaseholdError =>
  new LeaseholdError('TIMED_OUT', `waited ${timeoutMs} ms for ${what}`, { metadata: { timeoutMs: String(timeoutMs) } });

/** The same bounds for an RPC. */
export const rpcLimits = (limits: WaitOptions): { signal?: AbortSignal; deadlineMs?: number } => ({
  ...(limits.signal === undefined ? {} : { signal: limits.signal }),
  ...(limits.timeoutMs === undefined ? {} : { deadlineMs: limits.timeoutMs }),
});

/** `promise`, or the end of the bounds, whichever comes first; then what it still brings goes to `discard`. */
export function withLimits<T>(
  promise: Promise<T>,
  limits: WaitOptions,
  what: string,
  discard: (late: T) => void,
): Promise<T> {
  const { signal, timeoutMs } = limits;
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
      timeoutMs === undefined
        ? undefined
        : setTimeout(() => finish(() => reject(timedOut(timeoutMs, what))), timeoutMs);
    promise.then(
      (value) => (over ? discard(value) : finish(() => resolve(value))),
      (error: unknown) => finish(() => reject(error)),
    );
    if (signal?.aborted === true) onAbort();
    else signal?.addEventListener('abort', onAbort, { once: true });
  });
}
