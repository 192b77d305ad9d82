/**
 * Doorbells: datagram sockets of which one process holds the receiving end and anybody who may search the directory can ring.
 * Invariants: nobody can make a ringer block (every send is MSG_DONTWAIT, on a socket nobody else holds) or fail: a bad bell is
 * `gone`, a flooded one has been `rung` enough. The receiving end is doorbell-ear.ts.
 */
import { constants } from 'node:os';
import type { OwnedFd } from '../os.ts';
import type { LinuxFd } from './fd.ts';
import { lastErrno, libc } from './libc.ts';
import { bindSocket, openSocket } from './sockets.ts';
import { unixAddress } from './unix-address.ts';

const SOCK_DGRAM = 2;
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;

const { EAGAIN, EINTR, ENOBUFS, ENOMEM } = constants.errno;

/** A ringer knows at most this many bells by heart; then it starts again. */
const KNOWN_BELLS_MAX = 4096;
/** Bells of one ringer that have a socket of their own; more are rung by their path, which the kernel looks up each time. */
const CONNECTED_BELLS_MAX = 64;

/** The receiving end of a new bell at `path`. @throws Error for a path over 107 B; OsError (EADDRINUSE). */
export function bindDoorbell(path: string, mode: number): OwnedFd {
  return bindSocket(path, mode, SOCK_DGRAM);
}

/** `full`: it has been rung and not yet answered, which is as good. `gone`: nobody will hear it. */
export type RingOutcome = 'rung' | 'full' | 'gone';

/** Rings bells. Close it to give its sockets back. */
export interface Ringer extends Disposable {
  /** Never blocks, never throws. */
  ring(path: string, payload: Uint8Array): RingOutcome;
  /** A bell that will be rung often. All who ask for the same path share one socket; it is closed with the last of them. */
  bell(path: string): Bell;
  close(): void;
}

export interface Bell {
  /** Never blocks, never throws. */
  ring(payload: Uint8Array): RingOutcome;
  /** Idempotent. A closed bell can still be rung, by its path. */
  close(): void;
}

/** @throws OsError (EMFILE). */
export function openRinger(): Ringer {
  return new LinuxRinger(openSocket(SOCK_DGRAM));
}

class LinuxRinger implements Ringer {
  /** Of all bells that are rung by their path. */
  #fd: LinuxFd;
  readonly #addresses = new Map<string, Uint8Array | null>();
  readonly #connections = new Map<string, Connection>();

  constructor(fd: LinuxFd) {
    this.#fd = fd;
  }

  ring(path: string, payload: Uint8Array): RingOutcome {
    const address = this.#addressOf(path);
    if (address === null || this.#fd.closed) return 'gone';
    const outcome = sendTo(this.#fd, address, payload);
    return outcome === 'full' ? this.#ringAnew(address, payload) : outcome;
  }

  /**
   * What nobody has heard yet counts against the socket that sent it, about 280 rings in all: bells that are never answered
   * must not silence the others. A socket that has sent nothing tells whether it is the bell that is full.
   */
  #ringAnew(address: Uint8Array, payload: Uint8Array): RingOutcome {
    let fresh: LinuxFd;
    try {
      fresh = openSocket(SOCK_DGRAM);
    } catch {
      return 'full';
    }
    const outcome = sendTo(fresh, address, payload);
    const replaced = outcome === 'rung' ? this.#fd : fresh;
    if (outcome === 'rung') this.#fd = fresh;
    replaced.close();
    return outcome;
  }

  bell(path: string): Bell {
    const ownConnection = this.#connections.get(path) ?? new Connection();
    ownConnection.users += 1;
    this.#connections.set(path, ownConnection);
    let connection: Connection | null = ownConnection;
    return {
      ring: (payload) => (connection === null ? this.ring(path, payload) : this.#ringBy(connection, path, payload)),
      close: () => {
        if (connection !== null) this.#leave(connection, path);
        connection = null;
      },
    };
  }

  /** One look-up of the path less than `ring`, which takes the kernel as long as all the rest. */
  #ringBy(connection: Connection, path: string, payload: Uint8Array): RingOutcome {
    if (this.#fd.closed) return 'gone';
    if (!connection.tried) this.#connect(connection, path);
    const outcome = connection.send(payload);
    if (outcome !== 'gone') return outcome;
    // Nobody holds that receiving end any more. There may be another bell at the same path.
    connection.drop();
    return this.ring(path, payload);
  }

  /** Leaves it unconnected when there is nobody, or when descriptors are short: then it is rung by its path. */
  #connect(connection: Connection, path: string): void {
    connection.tried = true;
    const address = this.#addressOf(path);
    let connected = 0;
    for (const each of this.#connections.values()) if (each.isOpen) connected += 1;
    if (address !== null && connected < CONNECTED_BELLS_MAX) connection.open(address);
  }

  #leave(connection: Connection, path: string): void {
    connection.users -= 1;
    if (connection.users > 0) return;
    connection.drop();
    if (this.#connections.get(path) === connection) this.#connections.delete(path);
  }

  close(): void {
    this.#fd.close();
    for (const connection of this.#connections.values()) connection.drop();
    this.#connections.clear();
    this.#addresses.clear();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** Null for what cannot be an address: names of bells are read from shared memory and may be anything. */
  #addressOf(path: string): Uint8Array | null {
    const known = this.#addresses.get(path);
    if (known !== undefined) return known;
    if (this.#addresses.size >= KNOWN_BELLS_MAX) this.#addresses.clear();
    const address = addressOrNull(path);
    this.#addresses.set(path, address);
    return address;
  }
}

/** A socket connected to one bell, shared by all who ring it; `gone` while it has none. */
class Connection {
  users = 0;
  /** Connected once, or found impossible: not tried again. */
  tried = false;
  #fd: LinuxFd | null = null;

  get isOpen(): boolean {
    return this.#fd !== null;
  }

  open(address: Uint8Array): void {
    let fd: LinuxFd;
    try {
      fd = openSocket(SOCK_DGRAM);
    } catch {
      return;
    }
    if (libc().connect(fd.raw, address, address.length) === 0) this.#fd = fd;
    else fd.close();
  }

  send(payload: Uint8Array): RingOutcome {
    if (this.#fd === null) return 'gone';
    return outcomeOf(libc().send(this.#fd.raw, payload, payload.length, MSG_DONTWAIT | MSG_NOSIGNAL));
  }

  drop(): void {
    this.#fd?.close();
    this.#fd = null;
  }
}

function sendTo(fd: LinuxFd, address: Uint8Array, payload: Uint8Array): RingOutcome {
  return outcomeOf(
    libc().sendto(fd.raw, payload, payload.length, MSG_DONTWAIT | MSG_NOSIGNAL, address, address.length),
  );
}

function outcomeOf(sent: number): RingOutcome {
  if (sent >= 0) return 'rung';
  const errno = lastErrno();
  return errno === EAGAIN || errno === EINTR || errno === ENOBUFS || errno === ENOMEM ? 'full' : 'gone';
}

function addressOrNull(path: string): Uint8Array | null {
  try {
    return unixAddress(path);
  } catch {
    return null;
  }
}
