/**
 * The receiving end of a doorbell: what rings say, taken one by one, and sleeping until one comes. Invariants: nothing here blocks but
 * `sleep`, whose bound the caller gives; what a ring says is hostile, and cut to a few words.
 */

import { readFileSync } from 'node:fs';
import { constants } from 'node:os';
import type { OwnedFd } from '../os.ts';
import { lastErrno, libc, osError } from './libc.ts';

const MSG_DONTWAIT = 0x40;
const POLLIN = 1;
/** Longer datagrams are cut: what a ring says is a few bytes. */
const RING_BYTES_MAX = 64;
/** What the kernel starts with, where nobody has said otherwise. */
const QUEUE_RINGS_DEFAULT = 10;

export class DoorbellEar {
  /** What the last ring said, from its beginning; the rest is of rings before. */
  readonly words = new Uint32Array(RING_BYTES_MAX / 4);
  readonly #bytes = new Uint8Array(this.words.buffer);
  readonly #fd: OwnedFd;
  readonly #pollFd: Int32Array;

  constructor(fd: OwnedFd) {
    this.#fd = fd;
    this.#pollFd = new Int32Array([fd.raw, POLLIN]);
  }

  /** Takes one ring: its length, B, at most 64; -1 when there is none. One system call. */
  hear(): number {
    return this.#fd.closed ? -1 : libc().recv(this.#fd.raw, this.#bytes, RING_BYTES_MAX, MSG_DONTWAIT);
  }

  /**
   * Blocks this thread until there is a ring, for `timeoutMs` at most: false when none came, or a signal did. The event loop of this thread
   * stands still for as long. @throws OsError (ENOMEM).
   */
  sleep(timeoutMs: number): boolean {
    this.#pollFd[0] = this.#fd.raw;
    const ready = libc().poll(this.#pollFd, 1, timeoutMs);
    if (ready >= 0) return ready > 0;
    const errno = lastErrno();
    if (errno === constants.errno.EINTR) return false;
    throw osError('poll', errno);
  }
}

/** Takes up to `max` rings off the bell and says how many there were; `max` means there may be more. Their content is dropped. */
export function drainDoorbell(fd: OwnedFd, max: number): number {
  const ear = new DoorbellEar(fd);
  let rings = 0;
  while (rings < max && ear.hear() >= 0) rings += 1;
  return rings;
}

/**
 * How many rings a bell holds before it is full. The kernel takes one more than `net.unix.max_dgram_qlen` of the namespace and the moment in which
 * the bell was made.
 */
export function doorbellQueueRings(): number {
  try {
    return Number.parseInt(readFileSync('/proc/sys/net/unix/max_dgram_qlen', 'latin1'), 10) + 1;
  } catch {
    return QUEUE_RINGS_DEFAULT + 1;
  }
}

/** Lets another thread that waits for this core have it. One system call, and no sleep when nobody waits. */
export function yieldThread(): void {
  libc().sched_yield();
}
