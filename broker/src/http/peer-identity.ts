/**
 * Who is at the other end of each connection of a server on a Unix socket: asked of the kernel once, at accept. A connection whose
 * peer cannot be named, or whose user has enough of them already, is closed before it can say anything.
 */
import type { Server, Socket } from 'node:net';
import type { Peer } from '../domain/policy.ts';

export interface PeerIdentityOptions {
  /** @throws when the descriptor has no peer any more. */
  readonly peerOf: (fd: number) => Peer;
  readonly connectionsPerUidMax: number;
  readonly logger: { warn(fields: object, message: string): void };
}

export interface PeerIdentities {
  of(socket: Socket): Peer | undefined;
}

/** Watches the server's connections from now on. */
export function identifyPeers(server: Server, options: PeerIdentityOptions): PeerIdentities {
  const peers = new WeakMap<Socket, Peer>();
  const connectionsByUid = new Map<number, number>();
  // First of the listeners: HTTP parsing must not begin before the peer is known.
  server.prependListener('connection', (socket: Socket) => {
    const peer = identify(socket, options);
    if (peer === undefined) return void socket.destroy();
    const { uid } = peer;
    const connections = connectionsByUid.get(uid) ?? 0;
    if (connections >= options.connectionsPerUidMax) return void socket.destroy();
    connectionsByUid.set(uid, connections + 1);
    peers.set(socket, peer);
    socket.once('close', () => {
      const left = (connectionsByUid.get(uid) ?? 1) - 1;
      if (left > 0) connectionsByUid.set(uid, left);
      else connectionsByUid.delete(uid);
    });
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
