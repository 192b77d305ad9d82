/** Runs asynchronous steps one at a time, in the order in which they were asked for. Invariant: a failed step holds nobody up. */
export class StepQueue {
  #last: Promise<unknown> = Promise.resolve();

  /** Runs `step` after those before it; not at all when `signal` aborts before its turn. @throws what `step` throws; the signal's reason. */
  run<Result>(step: () => Promise<Result>, signal?: AbortSignal): Promise<Result> {
    const turn = this.#last.then(() => {
      signal?.throwIfAborted();
      return step();
    });
    this.#last = turn.catch(() => undefined);
    return turn;
  }
}
