/** Messages of a gRPC stream over a Unix socket: raw bytes, no protobuf, no limit on their size, and windows wide enough for a whole payload. */
import { join } from 'node:path';
import {
  credentials,
  makeGenericClientConstructor,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServiceDefinition,
} from '@grpc/grpc-js';
import type { EndOptions, Transport } from './ends.ts';
import { DEAF, type Line, MessageFollower, MessageLeader } from './message-ends.ts';

const raw = (bytes: Buffer): Buffer => bytes;
const SERVICE = {
  payloads: {
    path: '/bench.Payloads/Payloads',
    requestStream: true,
    responseStream: true,
    requestSerialize: raw,
    requestDeserialize: raw,
    responseSerialize: raw,
    responseDeserialize: raw,
  },
} satisfies ServiceDefinition;
const OPTIONS = {
  'grpc.max_send_message_length': -1,
  'grpc.max_receive_message_length': -1,
  'grpc-node.flow_control_window': 64 * 1024 * 1024,
};

/** Of a client's stream and a server's. */
interface PayloadStream {
  write(payload: Buffer): boolean;
  on(event: 'data', listener: (payload: Buffer) => void): unknown;
  on(event: 'error', listener: (error: Error) => void): unknown;
}

function lineOn(stream: PayloadStream, payloadBytes: number, close: () => void): Line {
  const next = Buffer.alloc(payloadBytes);
  const line: Line = {
    ...DEAF,
    next,
    send: () => void stream.write(next),
    close: () => {
      line.onFailure = DEAF.onFailure;
      close();
    },
  };
  stream.on('data', (payload) => line.onArrival(payload));
  stream.on('error', (error) => line.onFailure(error));
  return line;
}

const addressOf = ({ directory }: EndOptions): string => `unix:${join(directory, 'grpc')}`;

async function openLeader(options: EndOptions): Promise<MessageLeader> {
  const PayloadsClient = makeGenericClientConstructor(SERVICE, 'Payloads');
  const client = new PayloadsClient(addressOf(options), credentials.createInsecure(), OPTIONS);
  const stream = client.makeBidiStreamRequest(SERVICE.payloads.path, raw, raw);
  const line = lineOn(stream, options.payloadBytes, () => {
    stream.cancel();
    client.close();
  });
  return new MessageLeader(line, options.payloadBytes);
}

async function openFollower(options: EndOptions): Promise<MessageFollower> {
  const server = new Server(OPTIONS);
  const stream = Promise.withResolvers<ServerDuplexStream<Buffer, Buffer>>();
  server.addService(SERVICE, { payloads: stream.resolve });
  const bound = Promise.withResolvers<number>();
  server.bindAsync(addressOf(options), ServerCredentials.createInsecure(), (error, port) => {
    if (error === null) bound.resolve(port);
    else bound.reject(error);
  });
  await bound.promise;
  const line = stream.promise.then((opened) => lineOn(opened, options.payloadBytes, () => server.forceShutdown()));
  return new MessageFollower(line, options.payloadBytes);
}

export const GRPC: Transport = { openLeader, openFollower };
