/**
 * Generated service descriptors as grpc-js service definitions, and the handler types a server writes against them.
 * Serializing accepts incomplete messages (`MessageInitShape`), so handlers and callers may pass plain objects.
 */
import {
  create,
  type DescMessage,
  type DescMethod,
  type DescMethodBiDiStreaming,
  type DescMethodClientStreaming,
  type DescMethodServerStreaming,
  type DescMethodUnary,
  type DescService,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from '@bufbuild/protobuf';
import type * as grpc from '@grpc/grpc-js';

export type UnaryHandler<I extends DescMessage, O extends DescMessage> = grpc.handleUnaryCall<
  MessageShape<I>,
  MessageInitShape<O>
>;
export type ServerStreamingHandler<I extends DescMessage, O extends DescMessage> = grpc.handleServerStreamingCall<
  MessageShape<I>,
  MessageInitShape<O>
>;
export type ClientStreamingHandler<I extends DescMessage, O extends DescMessage> = grpc.handleClientStreamingCall<
  MessageShape<I>,
  MessageInitShape<O>
>;
export type BidiStreamingHandler<I extends DescMessage, O extends DescMessage> = grpc.handleBidiStreamingCall<
  MessageShape<I>,
  MessageInitShape<O>
>;

/** What `server.addService(serviceDefinition(desc), …)` takes for a service: one handler for each method. */
export type ServiceImplementation<S extends DescService> = {
  [K in keyof S['method']]: S['method'][K] extends DescMethodUnary<infer I, infer O>
    ? UnaryHandler<I, O>
    : S['method'][K] extends DescMethodServerStreaming<infer I, infer O>
      ? ServerStreamingHandler<I, O>
      : S['method'][K] extends DescMethodClientStreaming<infer I, infer O>
        ? ClientStreamingHandler<I, O>
        : S['method'][K] extends DescMethodBiDiStreaming<infer I, infer O>
          ? BidiStreamingHandler<I, O>
          : never;
};

/** A descriptor's methods as grpc-js wants them, by the name they have in JavaScript. */
export function serviceDefinition<S extends DescService>(desc: S): grpc.ServiceDefinition<ServiceImplementation<S>> {
  const methods = desc.methods.map((method) => [method.localName, methodDefinition(method)] as const);
  // fromEntries forgets the names; every method of the descriptor is there, under the local name its type has.
  return Object.fromEntries(methods) as unknown as grpc.ServiceDefinition<ServiceImplementation<S>>;
}

/** One method, for client and server alike; only its descriptor is known here, not its types. */
export function methodDefinition(method: DescMethod) {
  const { methodKind } = method;
  return {
    path: `/${method.parent.typeName}/${method.name}`,
    originalName: method.localName,
    requestStream: methodKind === 'client_streaming' || methodKind === 'bidi_streaming',
    responseStream: methodKind === 'server_streaming' || methodKind === 'bidi_streaming',
    requestSerialize: serializer(method.input),
    requestDeserialize: deserializer(method.input),
    responseSerialize: serializer(method.output),
    responseDeserialize: deserializer(method.output),
  };
}

function serializer<D extends DescMessage>(schema: D): (message: MessageInitShape<D>) => Buffer {
  return (message) => {
    const bytes = toBinary(schema, create(schema, message));
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  };
}

function deserializer<D extends DescMessage>(schema: D): (bytes: Buffer) => MessageShape<D> {
  // Fields of a later release are not kept: nothing here passes a message on.
  return (bytes) => fromBinary(schema, bytes, { readUnknownFields: false });
}
