/**
 * The messages of one server-streaming call as an async iterator. The call is on the wire from the start and ends with
 * the server, the signal, or `return()`, which also settles a `next()` that is still waiting. It is read once; a reader
 * that stops reading, or never starts, stops the sender.
 */
import type * as grpc from '@grpc/grpc-js';
import { fromServiceError } from './status-details.ts';

export interface ServerStream<T> extends AsyncIterableIterator<T, undefined, undefined> {
  /** Cancels the call. Waiting and later `next()` are done. */
  return(): Promise<IteratorReturnResult<undefined>>;
}

const DONE: IteratorReturnResult<undefined> = { done: true, value: undefined };

export function openServerStream<T>(
  call: grpc.ClientReadableStream<T>,
  signal: AbortSignal | undefined,
  abortedError: () => Error,
): ServerStream<T> {
  const messages: AsyncIterator<T> = call[Symbol.asyncIterator]();
  const cancel = () => call.cancel();
  const forgetSignal = () => signal?.removeEventListener('abort', cancel);
  let ended = false;
  let failure: unknown;

  // IMPORTANT: grpc-js emits 'error' without destroying the stream. One emitted before the first next() would be thrown
  // as uncaught, and the stream would then look as if it had ended well.
  call.on('error', (error) => {
    failure ??= error;
  });
  call.on('status', forgetSignal);
  // IMPORTANT: until it is first asked for a message grpc-js takes in everything the server sends, without bound. Asking
  // now makes it stop when the stream's own buffer of 16 messages is full.
  call.read(0);
  signal?.addEventListener('abort', cancel, { once: true });

  return {
    async next() {
      if (ended) return DONE;
      try {
        const result = await messages.next();
        if (!ended && result.done !== true) return { done: false, value: result.value };
      } catch (error) {
        failure ??= error;
      }
      if (ended) return DONE;
      ended = true;
      if (signal?.aborted) throw abortedError();
      if (failure !== undefined) throw fromServiceError(failure);
      return DONE;
    },
    async return() {
      ended = true;
      forgetSignal();
      call.cancel();
      return DONE;
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}
