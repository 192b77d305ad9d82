/**
 * The same hand-off over a stream socket: four bytes of length, then the payload, written in one call; one byte comes back when the last
 * has arrived. The receiver reads straight into the place where the payload is wanted (`onread`), so that nothing is copied or
 * allocated there but what the kernel copies.
 */
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { monotonicNs } from '@leasehold/client';
import { type Bench, checkMark, gap, mark, type Receiver, type Sender } from './hand-off.ts';
import type { Variant } from './variants.ts';

const LENGTH_BYTES = 4;

const pathOf = (bench: Bench, variant: Variant): string => join(bench.directory, `${variant.id}.sock`);

class SocketSender implements Sender {
  readonly memory = null;
  readonly #peer: Promise<Socket>;
  readonly #message: Buffer;
  #sent = 0;

  constructor(payloadBytes: number, peer: Promise<Socket>) {
    this.#peer = peer;
    this.#message = Buffer.alloc(LENGTH_BYTES + payloadBytes);
    this.#message.writeUInt32LE(payloadBytes);
  }

  async send(count: number): Promise<Float64Array> {
    const peer = await this.#peer;
    const sentNs = new Float64Array(count);
    const payload = this.#message.subarray(LENGTH_BYTES);
    for (let index = 0; index < count; index += 1) {
      this.#sent += 1;
      mark(payload, this.#sent);
      const held = once(peer, 'data');
      sentNs[index] = monotonicNs();
      peer.write(this.#message);
      await held;
      await gap();
    }
    return sentNs;
  }
}

class SocketReceiver implements Receiver {
  readonly #payloadBytes: number;
  readonly #socket: Socket;
  readonly #message: Buffer;
  #arrivedBytes = 0;
  #received = 0;
  #heldNs = new Float64Array(0);
  #next = 0;
  #finish: PromiseWithResolvers<Float64Array> = Promise.withResolvers();

  constructor(path: string, payloadBytes: number) {
    this.#payloadBytes = payloadBytes;
    this.#message = Buffer.alloc(LENGTH_BYTES + payloadBytes);
    this.#socket = connect({
      path,
      onread: { buffer: () => this.#message.subarray(this.#arrivedBytes), callback: (bytes) => this.#arrived(bytes) },
    });
    this.#socket.on('error', (error) => this.#finish.reject(error));
    this.#socket.on('close', () => this.#finish.reject(new Error('the sender closed the socket')));
  }

  async connected(): Promise<void> {
    await once(this.#socket, 'connect');
  }

  receive(count: number): Promise<Float64Array> {
    this.#heldNs = new Float64Array(count);
    this.#next = 0;
    this.#finish = Promise.withResolvers();
    return this.#finish.promise;
  }

  /** True: go on reading. */
  #arrived(bytes: number): true {
    this.#arrivedBytes += bytes;
    if (this.#arrivedBytes < LENGTH_BYTES) return true;
    if (this.#arrivedBytes < LENGTH_BYTES + this.#message.readUInt32LE()) return true;
    this.#heldNs[this.#next] = monotonicNs();
    this.#next += 1;
    this.#received += 1;
    try {
      checkMark(this.#message.subarray(LENGTH_BYTES, this.#arrivedBytes), this.#payloadBytes, this.#received);
    } catch (error) {
      this.#finish.reject(error);
    }
    this.#arrivedBytes = 0;
    if (this.#next === this.#heldNs.length) this.#finish.resolve(this.#heldNs);
    this.#socket.write('!');
    return true;
  }
}

export async function openSocketSender(bench: Bench, variant: Variant): Promise<Sender> {
  const peer = Promise.withResolvers<Socket>();
  const server = createServer(peer.resolve).listen(pathOf(bench, variant));
  await once(server, 'listening');
  return new SocketSender(variant.payloadBytes, peer.promise);
}

export async function openSocketReceiver(bench: Bench, variant: Variant): Promise<Receiver> {
  const receiver = new SocketReceiver(pathOf(bench, variant), variant.payloadBytes);
  await receiver.connected();
  return receiver;
}
