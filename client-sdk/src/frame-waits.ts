/**
 * All waits for frames of one subscription, first come first served. Invariants: it looks before it sleeps, after it has asked to be
 * rung; while it sleeps it has asked; a frame goes straight from the look that found it to the promise that waits.
 */
import { monotonicNs } from '@leasehold/shm-core/internal';
import type { Doorbell, Sleeper } from './doorbell.ts';
import { ENDED, type Found, type FrameSource, type SourceState } from './frame-source.ts';
import { takeBlocking } from './frame-wait-sync.ts';
import { aborted, Limits, timedOut, type WaitOptions } from './limits.ts';
import { ExpectedWait, LOOKS_PER_CLOCK, LOOKS_PER_FRAME, LOOKS_PER_TURN, type WaitStrategy } from './waiting.ts';

/** Somebody else who hears the rings of a subscription. */
export interface RingListener {
  onRing(): void;
}

interface PendingTake<F> {
  readonly resolve: (frame: F | null) => void;
  readonly reject: (error: unknown) => void;
  readonly sinceMs: number;
  /** Takes its timer and its listener away. */
  readonly end: (() => void) | null;
}

export class FrameWaits<F extends object> implements Sleeper {
  readonly #source: FrameSource<F>;
  readonly #doorbell: Doorbell;
  readonly #strategy: WaitStrategy;
  readonly #pending: PendingTake<F>[] = [];
  readonly #listeners = new Set<RingListener>();
  readonly #expected = new ExpectedWait();
  /** Looks left before the event loop must have a turn. */
  #looksLeft = LOOKS_PER_TURN;
  /** When the wait at the head of the line began, ns; 0: nobody has looked in vain yet. */
  #beganNs = 0;
  #sleeping = false;
  #turning = false;

  constructor(source: FrameSource<F>, doorbell: Doorbell, strategy: WaitStrategy) {
    this.#source = source;
    this.#doorbell = doorbell;
    this.#strategy = strategy;
  }

  /** The next frame, null after the last. It is a settled promise when a frame is there at once. */
  take(options?: WaitOptions): Promise<F | null> {
    try {
      const limits = options === undefined ? null : new Limits(options);
      if (this.#pending.length === 0 && (this.#looksLeft > 0 || limits?.leftMs === 0)) {
        const found = this.#lookAround();
        if (found !== null) return Promise.resolve(found === ENDED ? null : found);
      }
      if (limits?.leftMs === 0) throw timedOut(limits.timeoutMs ?? 0, this.#source.what);
      return this.#wait(limits);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** The same, with the whole thread. */
  takeSync(options?: WaitOptions): F | null {
    const limits = options === undefined ? null : new Limits(options);
    const wait = { source: this.#source, doorbell: this.#doorbell, strategy: this.#strategy, expected: this.#expected };
    return takeBlocking(wait, limits);
  }

  /** One look, and then as many as the strategy wants before it is worth a promise. */
  #lookAround(): Found<F> | null {
    const found = this.#source.look();
    if (found !== null) {
      this.#looksLeft -= LOOKS_PER_FRAME;
      return found;
    }
    if (this.#strategy === 'spin') return this.#lookOften(this.#looksLeft);
    if (this.#strategy !== 'adaptive') return null;
    this.#beganNs = monotonicNs();
    return this.#lookUntil(this.#beganNs + this.#expected.spinNs);
  }

  #lookOften(looks: number): Found<F> | null {
    for (let look = 0; look < looks; look += 1) {
      this.#looksLeft -= 1;
      const found = this.#source.look();
      if (found !== null) return found;
    }
    return null;
  }

  #lookUntil(deadlineNs: number): Found<F> | null {
    while (this.#looksLeft > 0 && monotonicNs() < deadlineNs) {
      const found = this.#lookOften(LOOKS_PER_CLOCK);
      if (found !== null) {
        if (found !== ENDED) this.#learn();
        return found;
      }
    }
    return null;
  }

  #learn(): void {
    if (this.#beganNs > 0) this.#expected.learn(this.#beganNs, this.#source.publishedNs());
    this.#beganNs = 0;
  }

  #wait(limits: Limits | null): Promise<F | null> {
    return new Promise((resolve, reject) => {
      const sinceMs = performance.now();
      const end = limits === null ? null : this.#bound(limits, () => pending);
      const pending: PendingTake<F> = { resolve, reject, sinceMs, end };
      this.#pending.push(pending);
      this.#go();
    });
  }

  /** Ends a wait at its bounds. A timer only for who has a timeout, a listener only for who has a signal. */
  #bound({ signal, timeoutMs, leftMs }: Limits, pending: () => PendingTake<F>): (() => void) | null {
    if (signal === undefined && timeoutMs === undefined) return null;
    const onAbort = (): void => {
      if (signal !== undefined) this.#giveUp(pending(), aborted(signal));
    };
    const onTime = (): void => {
      this.#serve();
      this.#giveUp(pending(), timedOut(timeoutMs ?? 0, this.#source.what));
    };
    const timer = timeoutMs === undefined ? undefined : setTimeout(onTime, leftMs);
    signal?.addEventListener('abort', onAbort, { once: true });
    return () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
    };
  }

  /** Sees to it that somebody looks for those who wait. */
  #go(): void {
    if (this.#sleeping || this.#turning) return;
    if (this.#looksLeft <= 0 || this.#strategy === 'spin' || this.#strategy === 'yield') {
      this.#turning = true;
      setImmediate(this.#turn);
    } else {
      this.#sleep();
    }
  }

  readonly #turn = (): void => {
    this.#turning = false;
    this.#looksLeft = LOOKS_PER_TURN;
    this.#serve();
    for (let looks = 1; this.#strategy === 'spin' && this.#pending.length > 0 && looks < LOOKS_PER_TURN; looks += 1) {
      this.#serve();
    }
    this.#giveUpLost();
    if (this.#pending.length > 0) this.#go();
  };

  /** IMPORTANT: arm, then look, then sleep. A publisher that publishes after the look finds this one armed, and rings. */
  #sleep(): void {
    this.#source.arm();
    this.#sleeping = true;
    if (this.#beganNs === 0 && this.#strategy === 'adaptive') this.#beganNs = monotonicNs();
    this.#serve();
    if (this.#sleeping) this.#doorbell.lookAgain();
  }

  /** A ring was for this subscription, or might have been. */
  wake(): boolean {
    if (this.#sleeping) {
      this.#looksLeft = LOOKS_PER_TURN;
      this.#serve();
      this.#giveUpLost();
      // Whoever rang has taken the request away.
      if (this.#sleeping) {
        this.ask();
        this.#serve();
      }
    }
    for (const listener of this.#listeners) listener.onRing();
    return this.#sleeping || this.#listeners.size > 0;
  }

  /** The request to be rung, made anew. Look again after it. */
  ask(): void {
    this.#source.disarm();
    this.#source.arm();
  }

  /** Gives what is there to those who wait. */
  #serve(): void {
    try {
      while (this.#pending.length > 0) {
        const found = this.#source.look();
        if (found === null) return;
        if (found === ENDED) this.#settleAll((pending) => pending.resolve(null));
        else this.#give(found);
      }
    } catch (error) {
      this.#settleAll((pending) => pending.reject(error));
    }
    this.#rest();
  }

  #give(frame: F): void {
    const first = this.#pending.shift();
    if (this.#strategy === 'adaptive') this.#learn();
    first?.end?.();
    first?.resolve(frame);
  }

  #settleAll(settle: (pending: PendingTake<F>) => void): void {
    for (const pending of this.#pending.splice(0)) {
      pending.end?.();
      settle(pending);
    }
  }

  #giveUp(pending: PendingTake<F>, error: unknown): void {
    const at = this.#pending.indexOf(pending);
    if (at < 0) return;
    this.#pending.splice(at, 1);
    pending.end?.();
    pending.reject(error);
    if (this.#pending.length === 0) this.#rest();
  }

  #giveUpLost(): void {
    if (this.#pending.length === 0) return;
    for (const pending of [...this.#pending]) {
      const why = this.#source.lostSince(pending.sinceMs);
      if (why !== null) this.#giveUp(pending, why);
    }
  }

  /** Nobody waits any more. */
  #rest(): void {
    this.#beganNs = 0;
    if (!this.#sleeping) return;
    this.#sleeping = false;
    this.#source.disarm();
  }

  /** Tells `listener` of every ring, too, and asks to be rung for as long as somebody listens. */
  listen(listener: RingListener): void {
    this.#listeners.add(listener);
    this.#source.arm();
    this.#doorbell.lookAgain();
  }
  unlisten(listener: RingListener): void {
    if (this.#listeners.delete(listener)) this.#source.disarm();
  }

  state(): SourceState {
    return this.#source.state();
  }

  hearsBy(doorbell: Doorbell): boolean {
    return this.#doorbell === doorbell;
  }
}
