/**
 * The control socket. The broker listens itself instead of grpc-js, because only so is the kernel asked who connects before the first
 * byte is read. Invariants: the socket never has a wider mode than it is to have; connections are bounded, those of users who may
 * not connect tightly; one that makes no call in time is closed.
 */
import { createServer, type Server, type Socket } from 'node:net';
import { peerCredentials, peerGroups } from '@leasehold/shm-core/internal';
import type { Logger } from 'pino';
import { ConnectionGate, type GateOptions } from '../attach/connection-gate.ts';
import type { Peer } from '../domain/policy.ts';
import type { Clock, Timer } from '../domain/ports.ts';

export interface ControlListenerOptions {
  readonly path: string;
  readonly mode: number;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly gate: GateOptions;
  readonly firstCallMs: number;
  /** Takes a connection whose peer is known by `socket.remoteAddress`. */
  readonly onConnection: (socket: Socket) => void;
}

interface Connection {
  readonly socket: Socket;
  readonly peer: Peer;
  /** Null once it has made a call. */
  firstCallTimer: Timer | null;
}

export class ControlListener {
  readonly #options: ControlListenerOptions;
  readonly #server: Server;
  readonly #connections = new Map<string, Connection>();
  readonly #gate: ConnectionGate;
  #lastId = 0;

  private constructor(options: ControlListenerOptions) {
    this.#options = options;
    this.#gate = new ConnectionGate(options.gate);
    this.#server = createServer((socket) => this.#accept(socket));
    this.#server.on('error', (err) => options.logger.error({ err }, 'the control socket failed'));
  }

  /** @throws Error with errno when the path cannot be bound. */
  static async open(options: ControlListenerOptions): Promise<ControlListener> {
    const listener = new ControlListener(options);
    const server = listener.#server;
    await new Promise<void>((resolve, reject) => {
      server.once('listening', resolve);
      server.once('error', reject);
      // `listen` binds before it returns, so no other file is made under this mask.
      const before = process.umask(0o777 & ~options.mode);
      try {
        server.listen(options.path);
      } finally {
        process.umask(before);
      }
    });
    return listener;
  }

  /** Who is at the other end of a connection that is still open. */
  peerOf(connectionId: string): Peer | undefined {
    return this.#connections.get(connectionId)?.peer;
  }

  /** The connection has made a call: it may stay. */
  noteCall(connectionId: string): void {
    const connection = this.#connections.get(connectionId);
    if (connection === undefined || connection.firstCallTimer === null) return;
    connection.firstCallTimer.cancel();
    connection.firstCallTimer = null;
  }

  #accept(socket: Socket): void {
    const { logger, clock, firstCallMs, onConnection } = this.#options;
    socket.on('error', (err) => logger.debug({ err }, 'control connection broke'));
    const peer = this.#identify(socket);
    const leave = peer === null ? null : this.#gate.enter(peer);
    if (peer === null || leave === null) {
      socket.destroy();
      return;
    }
    this.#lastId += 1;
    const id = `connection-${this.#lastId}`;
    const firstCallTimer = clock.after(firstCallMs, () => socket.destroy());
    this.#connections.set(id, { socket, peer, firstCallTimer });
    socket.once('close', () => {
      firstCallTimer.cancel();
      leave();
      this.#connections.delete(id);
    });
    // What grpc-js shows as a call's peer.
    Object.defineProperty(socket, 'remoteAddress', { value: id });
    onConnection(socket);
  }

  #identify(socket: Socket): Peer | null {
    // Node has no public way to the descriptor of a socket.
    const fd = (socket as Socket & { readonly _handle?: { readonly fd?: number } | null })._handle?.fd;
    if (fd === undefined || fd < 0) return null;
    try {
      return { ...peerCredentials(fd), groups: peerGroups(fd) };
    } catch (err) {
      this.#options.logger.warn({ err }, 'a control connection has no peer that can be named');
      return null;
    }
  }

  /** Ends every connection; Node removes the socket’s file. */
  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const { socket } of this.#connections.values()) socket.destroy();
    await closed;
  }
}
