/**
 * The session's doorbell: one datagram socket for all its channels. A ring names whom it is for, and wakes only that one; a ring that
 * names nobody here, or that may have crowded another out of a full queue, wakes everybody. A lost ring costs a second, never
 * progress: whoever waits is woken that often, on one timer for all.
 */
import { DoorbellEar, doorbellQueueRings, type OwnedFd, type Watch, watchReadable } from '@leasehold/shm-core/internal';
import { RING_PAYLOAD_BYTES, receivedRingKey, ringKey, WHOEVER_PUBLISHES } from './ring-payload.ts';

/** How long a waiter sleeps at most before it looks again, ms. */
export const LOOK_AGAIN_MS = 1_000;
/** Rings taken in a row; the rest, if somebody floods, wait for the event loop’s next turn. */
const RINGS_PER_TURN = 64;

/** Why a waiter was woken. */
export type Woken = 'rung' | 'bound' | 'aborted';

/** `unnamed`: a ring that is for nobody known here, and so for everybody. */
type Heard = 'nothing' | 'named' | 'unnamed';

/** Whom a ring may be for. */
export interface Sleeper {
  /** Looks whether there is something. Never throws. @returns whether somebody still waits */
  wake(): boolean;
}

/** A registration made before looking: a ring after it is not missed. */
export interface Waiter {
  /** Resolves at the first ring since the registration, at the bound, or when `signal` aborts. Ends the registration. */
  wait(boundMs: number, signal: AbortSignal | undefined): Promise<Woken>;
  /** Ends the registration without waiting. */
  cancel(): void;
}

export class Doorbell {
  readonly #fd: OwnedFd;
  readonly #ear: DoorbellEar;
  readonly #watch: Watch;
  readonly #queueRings = doorbellQueueRings();
  readonly #sleepers = new Map<number, Set<Sleeper>>();
  readonly #listeners: (() => void)[] = [];
  /** Rings taken since the queue was last seen empty. */
  #rings = 0;
  #lookAgain: NodeJS.Timeout | null = null;

  constructor(fd: OwnedFd) {
    this.#fd = fd;
    this.#ear = new DoorbellEar(fd);
    this.#watch = watchReadable(fd, this.#onReadable, () => this.wakeAll());
  }

  /** One ring only, and its sleeper runs: whether there are more is asked when he has. It is a system call that he need not wait for. */
  readonly #onReadable = (): void => {
    const heard = this.#hearOne();
    if (heard === 'unnamed') this.wakeAll();
    if (heard !== 'nothing') setImmediate(this.#hearRest);
  };

  readonly #hearRest = (): void => {
    if (!this.#fd.closed) this.hear();
  };

  /** Takes the rings that are there, and wakes whom they are for; everybody once, however many name nobody. Does not wait. */
  hear(): void {
    let everybody = false;
    for (let taken = 0; taken < RINGS_PER_TURN; taken += 1) {
      const heard = this.#hearOne();
      if (heard === 'nothing') {
        if (everybody) this.wakeAll();
        return;
      }
      if (heard === 'unnamed') everybody = true;
    }
    this.#rings = 0;
    this.wakeAll();
  }

  /** Takes one ring, and wakes whom it names. */
  #hearOne(): Heard {
    const bytes = this.#ear.hear();
    if (bytes < 0) {
      // The queue may have been full in between, and turned a ring away.
      const maybeFull = this.#rings >= this.#queueRings;
      this.#rings = 0;
      if (maybeFull) this.wakeAll();
      return 'nothing';
    }
    this.#rings += 1;
    if (bytes < RING_PAYLOAD_BYTES) return 'unnamed';
    const { words } = this.#ear;
    const named = this.#sleepers.get(receivedRingKey(words));
    if (named !== undefined) for (const sleeper of named) sleeper.wake();
    return named === undefined && words[2] !== WHOEVER_PUBLISHES ? 'unnamed' : 'named';
  }

  /**
   * Blocks this thread until there is a ring, for a second or `boundMs` at most; the ring is not taken. A signal ends it, too.
   * @throws OsError.
   */
  sleep(boundMs: number): boolean {
    return !this.#fd.closed && this.#ear.sleep(Math.ceil(Math.min(boundMs, LOOK_AGAIN_MS)));
  }

  /** Wakes everybody, as a ring does that names nobody. */
  wakeAll(): void {
    for (const listen of this.#listeners) listen();
    this.#wakeSleepers();
  }

  /** Whether any of them still waits. */
  #wakeSleepers(): boolean {
    let waiting = false;
    for (const sleepers of [...this.#sleepers.values()]) {
      for (const sleeper of [...sleepers]) if (sleeper.wake()) waiting = true;
    }
    return waiting;
  }

  /** Calls `listener` at every ring that is not just for one sleeper, for as long as the session lives. */
  onRing(listener: () => void): void {
    this.#listeners.push(listener);
  }

  /** From now on `sleeper` hears rings for that participant, until `leave`. */
  enter(mappingId: bigint, index: number, sleeper: Sleeper): void {
    const key = ringKey(mappingId, index);
    const sleepers = this.#sleepers.get(key);
    if (sleepers === undefined) this.#sleepers.set(key, new Set([sleeper]));
    else sleepers.add(sleeper);
  }
  leave(mappingId: bigint, index: number, sleeper: Sleeper): void {
    const key = ringKey(mappingId, index);
    const sleepers = this.#sleepers.get(key);
    if (sleepers?.delete(sleeper) === true && sleepers.size === 0) this.#sleepers.delete(key);
  }

  /**
   * Somebody sleeps: everybody who does is woken once a second until nobody does. The timer keeps no process alive, which the bell
   * itself does; it outlives the sleep, so that sleeping often starts no timer each time.
   */
  lookAgain(): void {
    if (this.#lookAgain !== null || this.#fd.closed) return;
    this.#lookAgain = setInterval(() => {
      if (!this.#wakeSleepers()) this.#stopLooking();
    }, LOOK_AGAIN_MS).unref();
  }

  #stopLooking(): void {
    if (this.#lookAgain !== null) clearInterval(this.#lookAgain);
    this.#lookAgain = null;
  }

  /** For one wait of who publishes on `mappingId`. */
  register(mappingId: bigint): Waiter {
    return new OneWait(this, mappingId);
  }

  close(): void {
    this.#watch.close();
    this.#fd.close();
    this.#stopLooking();
    this.wakeAll();
  }
}

class OneWait implements Waiter, Sleeper {
  readonly #doorbell: Doorbell;
  readonly #mappingId: bigint;
  #rung = false;
  #finish: ((why: Woken) => void) | null = null;

  constructor(doorbell: Doorbell, mappingId: bigint) {
    this.#doorbell = doorbell;
    this.#mappingId = mappingId;
    doorbell.enter(mappingId, WHOEVER_PUBLISHES, this);
  }

  wake(): boolean {
    this.#rung = true;
    this.cancel();
    this.#finish?.('rung');
    return false;
  }

  wait(boundMs: number, signal: AbortSignal | undefined): Promise<Woken> {
    if (this.#rung) return Promise.resolve('rung');
    return new Promise((resolve) => {
      const onAbort = (): void => this.#finish?.('aborted');
      const timer = setTimeout(() => this.#finish?.('bound'), Math.max(0, boundMs));
      this.#finish = (why) => {
        this.#finish = null;
        clearTimeout(timer);
        signal?.removeEventListener('abort', onAbort);
        this.cancel();
        resolve(why);
      };
      if (signal?.aborted === true) onAbort();
      else signal?.addEventListener('abort', onAbort, { once: true });
    });
  }

  cancel(): void {
    this.#doorbell.leave(this.#mappingId, WHOEVER_PUBLISHES, this);
  }
}
