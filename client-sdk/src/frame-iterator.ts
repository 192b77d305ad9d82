/** A subscription as an async iterable: frames until the end of the stream, or until it is closed. One promise per frame. */
import { LeaseholdError } from '@leasehold/proto';

/** Leaving the loop does not close the subscription. */
export class FrameIterator<F> implements AsyncIterableIterator<F, void, undefined> {
  readonly #take: () => Promise<F | null>;
  readonly #closed: () => boolean;
  #done = false;

  constructor(take: () => Promise<F | null>, closed: () => boolean) {
    this.#take = take;
    this.#closed = closed;
  }

  next(): Promise<IteratorResult<F, void>> {
    if (this.#done) return Promise.resolve({ done: true, value: undefined });
    return this.#take().then(this.#onFrame, this.#onError);
  }

  readonly #onFrame = (frame: F | null): IteratorResult<F, void> => {
    if (frame !== null) return { done: false, value: frame };
    this.#done = true;
    return { done: true, value: undefined };
  };

  readonly #onError = (error: unknown): IteratorResult<F, void> => {
    this.#done = true;
    if (this.#closed() && error instanceof LeaseholdError && error.code === 'CLOSED')
      return { done: true, value: undefined };
    throw error;
  };

  return(): Promise<IteratorResult<F, void>> {
    this.#done = true;
    return Promise.resolve({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}
