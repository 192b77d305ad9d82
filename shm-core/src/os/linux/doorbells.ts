/**
 * Doorbells: datagram sockets of which one process holds the receiving end and anybody who may search the directory can ring.
 * Invariants: nobody can make a ringer block (every send is MSG_DONTWAIT, on a socket nobody else holds) or fail: a bad bell is
 * `gone`, a flooded one has been `rung` enough.
 */
import { constants } from 'node:os';
import type { OwnedFd } from '../os.ts';
import { lastErrno, libc } from './libc.ts';
import { bindSocket, openSocket } from './sockets.ts';
import { unixAddress } from './unix-address.ts';

const SOCK_DGRAM = 2;
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;

const { EAGAIN, EINTR, ENOBUFS, ENOMEM } = constants.errno;

/** Longer datagrams are cut: what a ring says is a few bytes. */
const RING_BYTES = 64;

/** A ringer knows at most this many bells by heart; then it starts again. */
const KNOWN_BELLS_MAX = 4096;

/** The receiving end of a new bell at `path`. @throws Error for a path over 107 B; OsError (EADDRINUSE). */
export function bindDoorbell(path: string, mode: number): OwnedFd {
  return bindSocket(path, mode, SOCK_DGRAM);
}

/** Rings bells. Close it to give its socket back. */
export interface Ringer extends Disposable {
  /** `full`: it has been rung and not yet answered, which is as good. `gone`: nobody will hear it. Never blocks, never throws. */
  ring(path: string, payload: Uint8Array): 'rung' | 'full' | 'gone';
  close(): void;
}

/** @throws OsError (EMFILE). */
export function openRinger(): Ringer {
  return new LinuxRinger(openSocket(SOCK_DGRAM));
}

class LinuxRinger implements Ringer {
  readonly #fd: OwnedFd;
  readonly #addresses = new Map<string, Uint8Array | null>();

  constructor(fd: OwnedFd) {
    this.#fd = fd;
  }

  ring(path: string, payload: Uint8Array): 'rung' | 'full' | 'gone' {
    const address = this.#addressOf(path);
    if (address === null || this.#fd.closed) return 'gone';
    const flags = MSG_DONTWAIT | MSG_NOSIGNAL;
    if (libc().sendto(this.#fd.raw, payload, payload.length, flags, address, address.length) >= 0) return 'rung';
    const errno = lastErrno();
    return errno === EAGAIN || errno === EINTR || errno === ENOBUFS || errno === ENOMEM ? 'full' : 'gone';
  }

  close(): void {
    this.#fd.close();
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

function addressOrNull(path: string): Uint8Array | null {
  try {
    return unixAddress(path);
  } catch {
    return null;
  }
}

let ringSpace: Uint8Array | undefined;

/** Takes up to `max` rings off the bell and says how many there were; `max` means there may be more. Their content is dropped. */
export function drainDoorbell(fd: OwnedFd, max: number): number {
  ringSpace ??= new Uint8Array(RING_BYTES);
  const raw = fd.raw;
  let rings = 0;
  while (rings < max && libc().recv(raw, ringSpace, RING_BYTES, MSG_DONTWAIT) >= 0) rings += 1;
  return rings;
}
