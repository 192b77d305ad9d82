/**
 * Descriptors on the event loop: the only wrapper of `koffi.node.poll`, which aborts the process on a descriptor that is closed, not
 * pollable or polled twice, falls silent when its handle is collected, and stops for good when a callback throws. Invariants:
 * a watched descriptor is open and of a pollable kind, watched once, and its watch closes before it does; handles are rooted here.
 */
import { fstatSync, readlinkSync } from 'node:fs';
import koffi from 'koffi';
import type { OwnedFd } from '../os.ts';
import { LinuxFd } from './fd.ts';

export interface Watch extends Disposable {
  /** Stops watching; idempotent. Closing the descriptor does it too. */
  close(): void;
  /** Lets the event loop end although this is watched; `ref` takes it back. */
  unref(): void;
  ref(): void;
}

/** By descriptor number: numbers belong to the whole process, so this does too. */
const WATCHES = new Map<number, Watch>();

/**
 * Calls `onReadable` whenever `fd` can be read or its peer is gone, until closed. It fires again while there is something left to
 * read, also after `onReadable` threw; what it threw goes to `onError`.
 * @throws Error when `fd` is closed, watched already, or neither a socket, a pipe, an eventfd, a timerfd nor a pidfd.
 */
export function watchReadable(fd: OwnedFd, onReadable: () => void, onError: (error: unknown) => void): Watch {
  if (!(fd instanceof LinuxFd)) throw new TypeError('only file descriptors of this backend can be watched');
  const raw = fd.raw;
  if (WATCHES.has(raw)) throw new Error(`file descriptor ${raw} is watched already`);
  if (!isPollable(raw)) throw new Error(`file descriptor ${raw} cannot be watched: ${kindOf(raw)}`);
  const watch = new LinuxWatch(fd, onReadable, onError);
  WATCHES.set(raw, watch);
  return watch;
}

class LinuxWatch implements Watch {
  readonly #fd: LinuxFd;
  readonly #raw: number;
  readonly #onReadable: () => void;
  readonly #onError: (error: unknown) => void;
  readonly #handle: ReturnType<typeof koffi.node.poll>;
  #closed = false;

  constructor(fd: LinuxFd, onReadable: () => void, onError: (error: unknown) => void) {
    this.#fd = fd;
    this.#raw = fd.raw;
    this.#onReadable = onReadable;
    this.#onError = onError;
    this.#handle = koffi.node.poll(this.#raw, { readable: true }, this.#fire);
    fd.setBeforeClose(() => this.close());
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#handle.close();
    this.#fd.setBeforeClose(undefined);
    WATCHES.delete(this.#raw);
  }

  unref(): void {
    if (!this.#closed) this.#handle.unref();
  }

  ref(): void {
    if (!this.#closed) this.#handle.ref();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** koffi passes a status that its types leave out. */
  readonly #fire = (...[status]: readonly unknown[]): void => {
    try {
      this.#onReadable();
    } catch (error) {
      this.#report(error);
    }
    // On POLLERR (a peer that closed with unread messages is one) libuv has stopped the handle; reading has fetched the error.
    if (!this.#closed && typeof status === 'number' && status < 0) this.#handle.start({ readable: true }, this.#fire);
  };

  #report(error: unknown): void {
    try {
      this.#onError(error);
    } catch (uncaught) {
      process.nextTick(() => {
        throw uncaught;
      });
    }
  }
}

function isPollable(raw: number): boolean {
  const stat = fstatSync(raw);
  if (stat.isSocket() || stat.isFIFO()) return true;
  return /^(anon_inode:\[(eventfd|timerfd|pidfd)\]|pidfd:\[\d+\])$/.test(kindOf(raw));
}

function kindOf(raw: number): string {
  return readlinkSync(`/proc/self/fd/${raw}`);
}
