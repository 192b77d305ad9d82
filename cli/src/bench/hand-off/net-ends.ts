/**
 * Stream sockets, one for each direction: every side listens for the other's, and writes to it. What arrives is read straight into the
 * place where the payload is wanted (`onread`, which only connecting sockets have), so that nothing is copied but by the kernel.
 */
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import type { EndOptions, Transport } from './ends.ts';
import { DEAF, type Line, MessageFollower, MessageLeader } from './message-ends.ts';

class SocketLine implements Line {
  readonly next: Uint8Array;
  onArrival = DEAF.onArrival;
  onFailure = DEAF.onFailure;
  readonly #server: Server;
  readonly #arriving: Buffer;
  #arrivedBytes = 0;
  readonly #sockets: Socket[] = [];
  #writing: Socket | null = null;

  constructor(payloadBytes: number, server: Server) {
    this.next = new Uint8Array(payloadBytes);
    this.#arriving = Buffer.alloc(payloadBytes);
    this.#server = server;
  }

  /** Writes to whoever connects here. */
  async accept(): Promise<void> {
    [this.#writing] = (await once(this.#server, 'connection')) as [Socket];
    this.#add(this.#writing);
  }

  /** Reads from whoever listens there. */
  async connect(path: string): Promise<void> {
    const onread = {
      buffer: () => this.#arriving.subarray(this.#arrivedBytes),
      callback: (bytes: number) => this.#arrived(bytes),
    };
    const reading = connect({ path, onread });
    await once(reading, 'connect');
    this.#add(reading);
  }

  #add(socket: Socket): void {
    this.#sockets.push(socket);
    socket.on('error', (error) => this.onFailure(error));
    socket.on('close', () => this.onFailure(new Error('the other side closed its socket')));
  }

  /** True: go on reading. */
  #arrived(bytes: number): true {
    this.#arrivedBytes += bytes;
    if (this.#arrivedBytes === this.#arriving.length) {
      this.#arrivedBytes = 0;
      this.onArrival(this.#arriving);
    }
    return true;
  }

  send(): void {
    this.#writing?.write(this.next);
  }

  async close(): Promise<void> {
    this.onFailure = DEAF.onFailure;
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
    await once(this.#server, 'close');
  }
}

async function listen({ directory, payloadBytes }: EndOptions, name: string): Promise<SocketLine> {
  const server = createServer().listen(join(directory, name));
  await once(server, 'listening');
  return new SocketLine(payloadBytes, server);
}

/** It listens before it connects, so that the follower can connect as soon as somebody has connected there. */
async function openLeader(options: EndOptions): Promise<MessageLeader> {
  const line = await listen(options, 'net-near');
  const accepted = line.accept();
  await line.connect(join(options.directory, 'net-far'));
  await accepted;
  return new MessageLeader(line, options.payloadBytes);
}

async function openFollower(options: EndOptions): Promise<MessageFollower> {
  const line = await listen(options, 'net-far');
  const connected = line.accept().then(() => line.connect(join(options.directory, 'net-near')));
  return new MessageFollower(
    connected.then(() => line),
    options.payloadBytes,
  );
}

export const NET: Transport = { openLeader, openFollower };
