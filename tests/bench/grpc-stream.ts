/**
 * The same hand-off as messages of a gRPC stream over a Unix socket: raw bytes, no protobuf, no limit on their size, and HTTP/2 windows
 * wide enough for a whole payload. An empty message comes back when one has arrived.
 */
import { once } from 'node:events';
import { join } from 'node:path';
import {
  type ClientDuplexStream,
  credentials,
  makeGenericClientConstructor,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServiceDefinition,
} from '@grpc/grpc-js';
import { monotonicNs } from '@leasehold/client';
import { type Bench, checkMark, gap, mark, type Receiver, type Sender } from './hand-off.ts';
import type { Variant } from './variants.ts';

const raw = (bytes: Buffer): Buffer => bytes;
const SERVICE = {
  frames: {
    path: '/bench.Frames/Frames',
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
  'grpc-node.flow_control_window': 16 * 1024 * 1024,
};
const HELD = Buffer.alloc(0);

const addressOf = (bench: Bench, variant: Variant): string => `unix:${join(bench.directory, `${variant.id}.sock`)}`;

class StreamSender implements Sender {
  readonly memory = null;
  readonly #peer: Promise<ServerDuplexStream<Buffer, Buffer>>;
  readonly #payload: Buffer;
  #sent = 0;

  constructor(payloadBytes: number, peer: Promise<ServerDuplexStream<Buffer, Buffer>>) {
    this.#peer = peer;
    this.#payload = Buffer.alloc(payloadBytes);
  }

  async send(count: number): Promise<Float64Array> {
    const peer = await this.#peer;
    const sentNs = new Float64Array(count);
    for (let index = 0; index < count; index += 1) {
      this.#sent += 1;
      mark(this.#payload, this.#sent);
      const held = once(peer, 'data');
      sentNs[index] = monotonicNs();
      peer.write(this.#payload);
      await held;
      await gap();
    }
    return sentNs;
  }
}

class StreamReceiver implements Receiver {
  readonly #payloadBytes: number;
  readonly #stream: ClientDuplexStream<Buffer, Buffer>;
  #received = 0;
  #heldNs = new Float64Array(0);
  #next = 0;
  #finish: PromiseWithResolvers<Float64Array> = Promise.withResolvers();

  constructor(payloadBytes: number, stream: ClientDuplexStream<Buffer, Buffer>) {
    this.#payloadBytes = payloadBytes;
    this.#stream = stream;
    stream.on('data', (payload: Buffer) => this.#arrived(payload));
    stream.on('error', (error) => this.#finish.reject(error));
  }

  receive(count: number): Promise<Float64Array> {
    this.#heldNs = new Float64Array(count);
    this.#next = 0;
    this.#finish = Promise.withResolvers();
    return this.#finish.promise;
  }

  #arrived(payload: Buffer): void {
    this.#heldNs[this.#next] = monotonicNs();
    this.#next += 1;
    this.#received += 1;
    try {
      checkMark(payload, this.#payloadBytes, this.#received);
    } catch (error) {
      this.#finish.reject(error);
    }
    if (this.#next === this.#heldNs.length) this.#finish.resolve(this.#heldNs);
    this.#stream.write(HELD);
  }
}

export async function openStreamSender(bench: Bench, variant: Variant): Promise<Sender> {
  const peer = Promise.withResolvers<ServerDuplexStream<Buffer, Buffer>>();
  const server = new Server(OPTIONS);
  server.addService(SERVICE, { frames: peer.resolve });
  const bound = Promise.withResolvers<number>();
  server.bindAsync(addressOf(bench, variant), ServerCredentials.createInsecure(), (error, port) => {
    if (error === null) bound.resolve(port);
    else bound.reject(error);
  });
  await bound.promise;
  return new StreamSender(variant.payloadBytes, peer.promise);
}

export async function openStreamReceiver(bench: Bench, variant: Variant): Promise<Receiver> {
  const FramesClient = makeGenericClientConstructor(SERVICE, 'Frames');
  const client = new FramesClient(addressOf(bench, variant), credentials.createInsecure(), OPTIONS);
  const stream = client.makeBidiStreamRequest(SERVICE.frames.path, raw, raw);
  return new StreamReceiver(variant.payloadBytes, stream);
}
