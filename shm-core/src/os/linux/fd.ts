/**
 * A file descriptor with one owner. Invariants: the number is closed at most once, never used after that, and whoever watches
 * it (poller.ts) lets go first, because closing a descriptor under a poll handle aborts the process.
 */
import type { OwnedFd } from '../os.ts';
import { checked, libc } from './libc.ts';

export class LinuxFd implements OwnedFd {
  #raw: number;
  #beforeClose: (() => void) | undefined;

  /** Takes ownership of `raw`. */
  constructor(raw: number) {
    if (!Number.isInteger(raw) || raw < 0) throw new RangeError(`not a file descriptor: ${raw}`);
    this.#raw = raw;
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
    if (raw >= 0) libc().close(raw);
  }

  closeInBackground(): Promise<void> {
    const raw = this.#giveUp();
    if (raw < 0) return Promise.resolve();
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

/** Owns the result of a system call that returns a descriptor. @throws OsError when it failed. */
export function ownedFd(call: string, result: number, detail?: string): LinuxFd {
  return new LinuxFd(checked(call, result, detail));
}
