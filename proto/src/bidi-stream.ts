/**
 * One call whose requests and responses are both streams: `send` beside the async iterator of a server stream. What is not on
 * the wire yet is bounded; what can no longer be sent is refused, never lost in silence.
 */
import type * as grpc from '@grpc/grpc-js';
import { LeaseholdError } from './leasehold-error.ts';
import { openServerStream, type ServerStream } from './server-stream.ts';
import { fromServiceError } from './status-details.ts';

/** How many messages of one stream may wait for the wire. */
export const UNSENT_MESSAGES_MAX = 64;

export interface BidiStream<I, O> extends ServerStream<O> {
  /**
   * Resolves when the message is on its way, which is when there is room for the next. Messages keep their order.
   * @throws {LeaseholdError} INVALID_ARGUMENT; INVALID_STATE when too many were sent without waiting; CLOSED after `end()`,
   *   `return()` or the server's end; ABORTED; what the call failed with
   */
  send(message: I): Promise<void>;
  /** Tells the server that nothing more will be sent. What it still answers can be read. */
  end(): void;
}

export interface BidiCallOptions<I> {
  readonly path: string;
  readonly signal: AbortSignal | undefined;
  readonly encode: (message: I) => Buffer;
  readonly abortedError: () => LeaseholdError;
}

export function openBidiStream<I, O>(
  call: grpc.ClientDuplexStream<Buffer, O>,
  { path, signal, encode, abortedError }: BidiCallOptions<I>,
): BidiStream<I, O> {
  const received = openServerStream(call, signal, abortedError);
  const unsent = new Set<PromiseWithResolvers<void>>();
  let refusal: LeaseholdError | undefined;
  const closedBy = (whom: string) => new LeaseholdError('CLOSED', `The stream ${path} was ended by ${whom}.`);
  /** No more sends; the first reason stays. Those that wait will never reach the wire. */
  const close = (why: LeaseholdError): void => {
    refusal ??= why;
    for (const { reject } of unsent) reject(why);
    unsent.clear();
  };
  // In this order: grpc-js reports a failure twice, and the end of every call once.
  call.on('error', (error) => close(signal?.aborted ? abortedError() : fromServiceError(error)));
  call.on('status', () => close(closedBy('the server')));

  return {
    async send(message) {
      if (signal?.aborted) throw abortedError();
      if (refusal !== undefined) throw refusal;
      if (call.writableLength >= UNSENT_MESSAGES_MAX) throw tooManyUnsent(path);
      const packet = encode(message);
      const sending = Promise.withResolvers<void>();
      unsent.add(sending);
      call.write(packet, (error: Error | null | undefined) => {
        unsent.delete(sending);
        if (error) sending.reject(refusal ?? fromServiceError(error));
        else sending.resolve();
      });
      return sending.promise;
    },
    end() {
      refusal ??= closedBy('its caller');
      call.end();
    },
    next: () => received.next(),
    return() {
      close(closedBy('its caller'));
      return received.return();
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}

function tooManyUnsent(path: string): LeaseholdError {
  const limit = String(UNSENT_MESSAGES_MAX);
  const message = `${limit} messages of the stream ${path} are not sent yet: await each send before the next.`;
  return new LeaseholdError('INVALID_STATE', message, { metadata: { limit } });
}
