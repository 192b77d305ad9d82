/**
 * Whether a unary call's caller still waits: it may cancel, or run out of time. Nothing is made for calls of which nobody asks, which
 * are most. Invariant: once the call is answered, nobody is told anything.
 */
import type { Cancellation } from '../domain/acquire-lease.ts';

/** Of grpc-js's calls what is used here. */
export interface CancellableCall {
  readonly cancelled: boolean;
  on(event: 'cancelled', tell: () => void): unknown;
}

export class CallCancellation implements Cancellation {
  readonly #call: CancellableCall;
  #controller: AbortController | null = null;
  #answered = false;

  constructor(call: CancellableCall) {
    this.#call = call;
  }

  get aborted(): boolean {
    return this.#call.cancelled;
  }

  /** Aborts when the caller cancels. */
  get signal(): AbortSignal {
    this.#controller ??= this.#listen();
    return this.#controller.signal;
  }

  #listen(): AbortController {
    const controller = new AbortController();
    if (this.aborted) controller.abort();
    // grpc-js tells this of every call when its stream closes. Aborting costs, so not when nobody listens any more.
    this.#call.on('cancelled', () => {
      if (!this.#answered) controller.abort();
    });
    return controller;
  }

  onAbort(tell: () => void): () => void {
    const { signal } = this;
    if (signal.aborted) tell();
    signal.addEventListener('abort', tell, { once: true });
    return () => signal.removeEventListener('abort', tell);
  }

  answered(): void {
    this.#answered = true;
  }
}
