/**
 * A typed client over a grpc-js channel: promises for unary methods, async iterators for server streams, and `send` beside
 * the iterator where both sides stream. Every failure is a LeaseholdError. An aborted signal cancels the call on the wire and is reported as ABORTED with its reason as cause.
 */
import type {
  DescMessage,
  DescMethod,
  DescMethodBiDiStreaming,
  DescMethodServerStreaming,
  DescMethodUnary,
  DescService,
  Message,
  MessageInitShape,
  MessageShape,
} from '@bufbuild/protobuf';
import * as grpc from '@grpc/grpc-js';
import { type BidiStream, openBidiStream } from './bidi-stream.ts';
import { LeaseholdError } from './leasehold-error.ts';
import { openServerStream, type ServerStream } from './server-stream.ts';
import { methodDefinition } from './service-definition.ts';
import { fromServiceError } from './status-details.ts';

export interface CallOptions {
  /** Cancels the call, or the stream while it is read. */
  readonly signal?: AbortSignal;
  /** How long from now the call may take, ms; a stream: how long it may live. Unbounded when not given. */
  readonly deadlineMs?: number;
  /** Request headers, for example `authorization`. */
  readonly metadata?: grpc.Metadata;
}

type ClientMethod = DescMethodUnary | DescMethodServerStreaming | DescMethodBiDiStreaming;

/** One function for each method; those that stream requests to get one response are not part of it. */
export type ServiceClient<S extends DescService> = {
  readonly [K in keyof S['method'] as S['method'][K] extends ClientMethod
    ? K
    : never]: S['method'][K] extends DescMethodUnary<infer I, infer O>
    ? (request: MessageInitShape<I>, options?: CallOptions) => Promise<MessageShape<O>>
    : S['method'][K] extends DescMethodServerStreaming<infer I, infer O>
      ? (request: MessageInitShape<I>, options?: CallOptions) => ServerStream<MessageShape<O>>
      : S['method'][K] extends DescMethodBiDiStreaming<infer I, infer O>
        ? (options?: CallOptions) => BidiStream<MessageInitShape<I>, MessageShape<O>>
        : never;
};

export function createServiceClient<S extends DescService>(desc: S, client: grpc.Client): ServiceClient<S> {
  const functions: [string, unknown][] = [];
  for (const method of desc.methods) {
    if (method.methodKind === 'unary') {
      functions.push([method.localName, unaryFunction(method, client)]);
    } else if (method.methodKind === 'server_streaming') {
      functions.push([method.localName, serverStreamingFunction(method, client)]);
    } else if (method.methodKind === 'bidi_streaming') {
      functions.push([method.localName, bidiStreamingFunction(method, client)]);
    }
  }
  // fromEntries forgets the names; they are those of the descriptor, from which the type is made.
  return Object.fromEntries(functions) as ServiceClient<S>;
}

function unaryFunction(
  method: DescMethod,
  client: grpc.Client,
): (request: MessageInitShape<DescMessage>, options?: CallOptions) => Promise<Message> {
  const { path, requestSerialize, responseDeserialize } = methodDefinition(method);
  return (request, options = {}) =>
    new Promise((resolve, reject) => {
      const { signal } = options;
      requireCallable(path, client, signal);
      const packet = encoded(path, () => requestSerialize(request));
      const cancel = () => call.cancel();
      const call = client.makeUnaryRequest(
        path,
        asItIs,
        responseDeserialize,
        packet,
        options.metadata ?? new grpc.Metadata(),
        wireOptions(options),
        (error, response) => {
          signal?.removeEventListener('abort', cancel);
          if (error === null && response !== undefined) return resolve(response);
          reject(signal?.aborted ? aborted(path, signal) : fromServiceError(error));
        },
      );
      signal?.addEventListener('abort', cancel, { once: true });
    });
}

function serverStreamingFunction(
  method: DescMethod,
  client: grpc.Client,
): (request: MessageInitShape<DescMessage>, options?: CallOptions) => ServerStream<Message> {
  const { path, requestSerialize, responseDeserialize } = methodDefinition(method);
  return (request, options = {}) => {
    const { signal } = options;
    requireCallable(path, client, signal);
    const call = client.makeServerStreamRequest(
      path,
      asItIs,
      responseDeserialize,
      encoded(path, () => requestSerialize(request)),
      options.metadata ?? new grpc.Metadata(),
      wireOptions(options),
    );
    return openServerStream(call, signal, () => aborted(path, signal));
  };
}

function bidiStreamingFunction(
  method: DescMethod,
  client: grpc.Client,
): (options?: CallOptions) => BidiStream<MessageInitShape<DescMessage>, Message> {
  const { path, requestSerialize, responseDeserialize } = methodDefinition(method);
  return (options = {}) => {
    const { signal } = options;
    requireCallable(path, client, signal);
    const metadata = options.metadata ?? new grpc.Metadata();
    const call = client.makeBidiStreamRequest(path, asItIs, responseDeserialize, metadata, wireOptions(options));
    const encode = (message: MessageInitShape<DescMessage>) => encoded(path, () => requestSerialize(message));
    return openBidiStream(call, { path, signal, encode, abortedError: () => aborted(path, signal) });
  };
}

const asItIs = (packet: Buffer): Buffer => packet;

/** grpc-js itself would call a number that its field cannot hold an INTERNAL failure. */
function encoded(path: string, encode: () => Buffer): Buffer {
  try {
    return encode();
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new LeaseholdError('INVALID_ARGUMENT', `The request of ${path} cannot be sent: ${why}.`, { cause });
  }
}

/** grpc-js itself throws a bare Error when the client is closed. */
function requireCallable(path: string, client: grpc.Client, signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw aborted(path, signal);
  if (client.getChannel().getConnectivityState(false) === grpc.connectivityState.SHUTDOWN) {
    throw new LeaseholdError('CLOSED', `The call ${path} came after its client was closed.`);
  }
}

function wireOptions({ deadlineMs }: CallOptions): grpc.CallOptions {
  return deadlineMs === undefined ? {} : { deadline: Date.now() + deadlineMs };
}

function aborted(path: string, signal: AbortSignal | undefined): LeaseholdError {
  return new LeaseholdError('ABORTED', `The call ${path} was aborted by its caller.`, { cause: signal?.reason });
}
