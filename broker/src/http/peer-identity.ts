/**
 * Who is at the other end of each connection of a server on a Unix socket: asked of the kernel once, at accept. A connection whose
 * peer cannot be named, or that finds no place, is closed before it can say anything.
 */
import type { Server, Socket } from 'node:net';
import { ConnectionGate, type GateOptions } from '../attach/connection-gate.ts';
import type { Peer } from '../domain/policy.ts';

export interface PeerIdentityOptions {
  /** @throws when the descriptor has no peer any more. */
  readonly peerOf: (fd: number) => Peer;
  readonly gate: GateOptions;
  readonly logger: { warn(fields: object, message: string): void };
}

export interface PeerIdentities {
  of(socket: Socket): Peer | undefined;
}

/** Watches the server's connections from now on. */
export function identifyPeers(server: Server, options: PeerIdentityOptions): PeerIdentities {
  const peers = new WeakMap<Socket, Peer>();
  const gate = new ConnectionGate(options.gate);
  // First of the listeners: HTTP parsing must not begin before the peer is known.
  server.prependListener('connection', (socket: Socket) => {
    const peer = identify(socket, options);
    const leave = peer === undefined ? null : gate.enter(peer);
    if (peer === undefined || leave === null) return void socket.destroy();
    peers.set(socket, peer);
    socket.once('close', leave);
  });
  return { of: (socket) => peers.get(socket) };
}

function identify(socket: Socket, options: PeerIdentityOptions): Peer | undefined {
  // Node has no public way to the descriptor of a socket.
  const fd = (socket as Socket & { _handle?: { fd?: number } | null })._handle?.fd;
  if (fd === undefined || fd < 0) return undefined;
  try {
    return options.peerOf(fd);
  } catch (error) {
    options.logger.warn({ err: error }, 'a connection to http.sock has no peer that can be named');
    return undefined;
  }
}
