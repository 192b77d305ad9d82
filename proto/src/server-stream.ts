/**
 * The messages of one server-streaming call as an async iterator. The call is on the wire from the start and ends with
 * the server, the signal, or `return()`, which also settles a `next()` that is still waiting. It is read once, message by
 * message: a reader that stops reading stops the sender.
 */
import type * as grpc from '@grpc/grpc-js';
import { fromServiceError } from './status-details.ts';

export interface ServerStream<T> extends AsyncIterableIterator<T, undefined, undefined> {
  /** Cancels the call. Waiting and later `next()` are done. */
  return(): Promise<IteratorReturnResult<undefined>>;
}

export function openServerStream<T>(
  call: grpc.ClientReadableStream<T>,
  signal: AbortSignal | undefined,
  abortedError: () => Error,
): ServerStream<T> {
  const messages: AsyncIterator<T> = call[Symbol.asyncIterator]();
  const cancel = () => call.cancel();
  let returned = false;
  let failure: Error | undefined;

  // IMPORTANT: grpc-js emits 'error' without destroying the stream. One emitted before the first next() would be thrown
  // as uncaught, and the stream would then look as if it had ended well.
  call.on('error', (error) => {
    failure ??= error;
  });
  call.on('status', () => signal?.removeEventListener('abort', cancel));
  signal?.addEventListener('abort', cancel, { once: true });

  const finish = (): IteratorReturnResult<undefined> => {
    signal?.removeEventListener('abort', cancel);
    return { done: true, value: undefined };
  };

  return {
    async next() {
      if (returned) return finish();
      try {
        const result = await messages.next();
        if (!returned && result.done !== true) return { done: false, value: result.value };
      } catch (error) {
        failure ??= error instanceof Error ? error : new Error(String(error));
      }
      if (returned) return finish();
      if (signal?.aborted) throw abortedError();
      if (failure !== undefined) throw fromServiceError(failure);
      return finish();
    },
    async return() {
      returned = true;
      call.cancel();
      return finish();
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}
