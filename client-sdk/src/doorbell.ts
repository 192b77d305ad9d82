/**
 * The session's doorbell: one datagram socket for all its channels. A ring says no more than "look everywhere", so every waiter is
 * woken. A lost ring costs a second, never progress: nobody waits longer without looking again.
 */
import { drainDoorbell, type OwnedFd, type Watch, watchReadable } from '@leasehold/shm-core/internal';

/** How long a waiter sleeps at most before it looks again, ms. */
export const LOOK_AGAIN_MS = 1_000;
/** Rings taken per wake-up; the rest, if somebody floods, wait for the event loop’s next turn. */
const RINGS_PER_WAKE = 64;

/** Why a waiter was woken. */
export type Woken = 'rung' | 'bound' | 'aborted';

/** A registration made before looking: a ring after it is not missed. */
export interface Waiter {
  /** Resolves at the first ring since the registration, at the bound, or when `signal` aborts. Ends the registration. */
  wait(boundMs: number, signal: AbortSignal | undefined): Promise<Woken>;
  /** Ends the registration without waiting. */
  cancel(): void;
}

export class Doorbell {
  readonly #fd: OwnedFd;
  readonly #watch: Watch;
  readonly #waiters = new Set<() => void>();
  readonly #listeners: (() => void)[] = [];

  constructor(fd: OwnedFd) {
    this.#fd = fd;
    this.#watch = watchReadable(
      fd,
      () => {
        drainDoorbell(fd, RINGS_PER_WAKE);
        this.wakeAll();
      },
      () => this.wakeAll(),
    );
  }

  /** Wakes every waiter, as a ring does. */
  wakeAll(): void {
    for (const listen of this.#listeners) listen();
    for (const wake of [...this.#waiters]) wake();
  }

  /** Calls `listener` at every ring, for as long as the session lives. */
  onRing(listener: () => void): void {
    this.#listeners.push(listener);
  }

  register(): Waiter {
    let rung = false;
    let wake: (() => void) | null = null;
    const onRing = (): void => {
      rung = true;
      this.#waiters.delete(onRing);
      wake?.();
    };
    this.#waiters.add(onRing);
    const wait = (boundMs: number, signal: AbortSignal | undefined): Promise<Woken> => {
      if (rung) return Promise.resolve('rung');
      return new Promise((resolve) => {
        const finish = (why: Woken): void => {
          clearTimeout(timer);
          signal?.removeEventListener('abort', onAbort);
          this.#waiters.delete(onRing);
          resolve(why);
        };
        const onAbort = (): void => finish('aborted');
        const timer = setTimeout(() => finish('bound'), Math.max(0, boundMs));
        wake = () => finish('rung');
        if (signal?.aborted === true) onAbort();
        else signal?.addEventListener('abort', onAbort, { once: true });
      });
    };
    return { wait, cancel: () => void this.#waiters.delete(onRing) };
  }

  close(): void {
    this.#watch.close();
    this.#fd.close();
    this.wakeAll();
  }
}
