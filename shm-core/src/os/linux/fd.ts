/**
 * A file descriptor with one owner. Invariants: the number is closed at most once, never used after that, and whoever watches
 * it (poller.ts) lets go first, because closing a descriptor under a poll handle aborts the process. One that a worker thread owns is
 * closed with the thread, however that ends: a session would live on in the process with nobody in it.
 */
import { closeSync, openSync } from 'node:fs';
import { isMainThread } from 'node:worker_threads';
import type { OwnedFd } from '../os.ts';
import { checked, libc } from './libc.ts';

const O_CLOEXEC = 0o2000000;

export class LinuxFd implements OwnedFd {
  #raw: number;
  readonly #closedByNode: boolean;
  #beforeClose: (() => void) | undefined;

  /** Takes ownership of `raw`, which is not to be used any more: in a worker thread the descriptor gets another number. */
  constructor(raw: number) {
    if (!Number.isInteger(raw) || raw < 0) throw new RangeError(`not a file descriptor: ${raw}`);
    const moved = isMainThread ? null : moveToNode(raw);
    this.#raw = moved ?? raw;
    this.#closedByNode = moved !== null;
  }

  get raw(): number {
    if (this.#raw < 0) throw new Error('the file descriptor is closed');
    return this.#raw;
  }

  get closed(): boolean {
    return this.#raw < 0;
  }

  /** For the poller: what must happen before the number may be closed. `undefined` takes it back. */
  setBeforeClose(beforeClose: (() => void) | undefined): void {
    this.#beforeClose = beforeClose;
  }

  close(): void {
    const raw = this.#giveUp();
    // The number is gone whatever close() says (Linux frees it first), so a failure is not retried.
    if (raw >= 0) this.#close(raw);
  }

  #close(raw: number): void {
    if (this.#closedByNode) closeSync(raw);
    else libc().close(raw);
  }

  closeInBackground(): Promise<void> {
    const raw = this.#giveUp();
    if (raw < 0) return Promise.resolve();
    if (this.#closedByNode) {
      closeSync(raw);
      return Promise.resolve();
    }
    return new Promise((resolve) => {
      try {
        libc().close.async(raw, () => resolve());
      } catch {
        // The thread pool takes no more.
        libc().close(raw);
        resolve();
      }
    });
  }

  #giveUp(): number {
    if (this.#raw < 0) return -1;
    this.#beforeClose?.();
    const raw = this.#raw;
    this.#raw = -1;
    return raw;
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/**
 * Gives the descriptor a number that Node has opened for this thread, and closes when the thread ends, also by `terminate`, when no
 * JavaScript runs any more. Null when there is none to be had: then the old number stays.
 */
function moveToNode(raw: number): number | null {
  let number: number;
  try {
    number = openSync('/dev/null', 'r');
  } catch {
    return null;
  }
  if (libc().dup3(raw, number, O_CLOEXEC) < 0) {
    closeSync(number);
    return null;
  }
  libc().close(raw);
  return number;
}

/** Owns the result of a system call that returns a descriptor. @throws OsError when it failed. */
export function ownedFd(call: string, result: number, detail?: string): LinuxFd {
  return new LinuxFd(checked(call, result, detail));
}
