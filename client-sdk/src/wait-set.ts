/**
 * Waiting on many subscriptions in one place. Invariants: a member that was given out is asked to ring again, and looked at, when the
 * set is waited on next; all others sleep, armed, and cost nothing until they are rung.
 */
import { LeaseholdError } from '@leasehold/proto';
import type { Doorbell } from './doorbell.ts';
import type { SessionEnd, SourceState } from './frame-source.ts';
import { noticeLoss } from './frame-wait-sync.ts';
import type { RingListener } from './frame-waits.ts';
import { aborted, Limits, timedOut, type WaitOptions } from './limits.ts';
import type { Subscriber } from './subscriber.ts';

/** Answers that were there at once, before the event loop gets a turn. */
const ANSWERS_PER_TURN = 64;

/** What a set needs of its members. */
export interface Waitable {
  readonly waits: {
    listen(listener: RingListener): void;
    unlisten(listener: RingListener): void;
    ask(): void;
    state(): SourceState;
    hearsBy(doorbell: Doorbell): boolean;
  };
}

/** What a set needs of its session. */
export interface WaitSetSession extends SessionEnd {
  readonly doorbell: Doorbell;
}

interface Waiting<S> {
  readonly sinceMs: number;
  readonly resolve: (ready: readonly S[]) => void;
  readonly reject: (error: unknown) => void;
  readonly end: () => void;
}

/** Made by `broker.waitSet()`. */
export class WaitSet<S extends Waitable = Subscriber> implements Disposable, AsyncIterable<readonly S[]> {
  readonly #session: WaitSetSession;
  readonly #members = new Map<S, Member<S>>();
  /** Given out, or new: nobody knows whether they have something. */
  #unknown: Member<S>[] = [];
  #ready: Member<S>[] = [];
  #waiting: Waiting<S> | null = null;
  #answersLeft = ANSWERS_PER_TURN;
  #closed = false;

  /** @internal */
  constructor(session: WaitSetSession) {
    this.#session = session;
  }

  get size(): number {
    return this.#members.size;
  }
  has(subscriber: S): boolean {
    return this.#members.has(subscriber);
  }

  /**
   * From now on frames of `subscriber` end a wait. What it has already ends the next one.
   * @throws LeaseholdError INVALID_ARGUMENT: it belongs to another connection; CLOSED.
   */
  add(subscriber: S): this {
    if (this.#closed) throw new LeaseholdError('CLOSED', 'the wait set was closed; make another with broker.waitSet()');
    if (!subscriber.waits.hearsBy(this.#session.doorbell)) {
      throw new LeaseholdError('INVALID_ARGUMENT', 'a wait set takes subscribers of the connection that made it');
    }
    if (this.#members.has(subscriber)) return this;
    const member = new Member(subscriber, (rung) => this.#onRing(rung));
    this.#members.set(subscriber, member);
    subscriber.waits.listen(member);
    if (this.#waiting === null) this.#unknown.push(member);
    else this.#look(member);
    return this;
  }

  /** False when it was not in the set. */
  delete(subscriber: S): boolean {
    const member = this.#members.get(subscriber);
    if (member === undefined) return false;
    this.#members.delete(subscriber);
    subscriber.waits.unlisten(member);
    this.#unknown = this.#unknown.filter((each) => each !== member);
    this.#ready = this.#ready.filter((each) => each !== member);
    if (this.#members.size === 0) this.#answer();
    return true;
  }

  /**
   * Resolves with the subscribers that may have frames: call `tryTake` on each until it gives null. What is left is reported again. One that
   * has ended, was closed, or has lost its channel is reported once, so that `tryTake` or `ended` tells, and leaves the set.
   * Empty when the set is, or when what was ready was taken out of it meanwhile.
   * @throws LeaseholdError TIMED_OUT, ABORTED; BROKER_LOST when the broker is gone and nothing came for a second; CLOSED;
   *   INVALID_STATE: somebody waits on this set already.
   */
  wait(options: WaitOptions = {}): Promise<readonly S[]> {
    try {
      const limits = new Limits(options);
      if (this.#isAnswered() && (this.#answersLeft > 0 || limits.leftMs === 0)) {
        this.#answersLeft -= 1;
        return Promise.resolve(this.#report());
      }
      if (limits.leftMs === 0) throw timedOut(0, 'a frame of any member');
      return this.#sleep(limits);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** The same, with the whole thread: see `Subscriber.takeSync`. */
  waitSync(options: WaitOptions = {}): readonly S[] {
    const limits = new Limits(options);
    const { doorbell } = this.#session;
    const lossNoticed = noticeLoss(this.#session);
    while (!this.#isAnswered()) {
      limits.throwIfOver('a frame of any member');
      lossNoticed();
      const rung = doorbell.sleep(limits.leftMs);
      doorbell.hear();
      if (!rung) for (const member of [...this.#members.values()]) this.#onRing(member);
    }
    return this.#report();
  }

  /** Whether a wait has an answer now, after a look at those of whom it is not known. @throws LeaseholdError CLOSED, INVALID_STATE. */
  #isAnswered(): boolean {
    if (this.#closed) throw new LeaseholdError('CLOSED', 'the wait set was closed');
    if (this.#waiting !== null) {
      throw new LeaseholdError('INVALID_STATE', 'somebody waits on this set already; make one set for each who waits');
    }
    for (const member of this.#unknown.splice(0)) this.#look(member);
    return this.#ready.length > 0 || this.#members.size === 0;
  }

  /** IMPORTANT: ask, then look, as in `FrameWaits`. What is published after the look rings. */
  #look(member: Member<S>): void {
    member.subscriber.waits.ask();
    this.#judge(member, member.subscriber.waits.state());
  }

  #judge(member: Member<S>, state: SourceState): void {
    member.asleep = state === 'nothing';
    if (member.asleep) return;
    member.over = state === 'over';
    this.#ready.push(member);
    this.#answer();
  }

  #onRing(member: Member<S>): void {
    if (!member.asleep) return;
    // Whoever rang has taken the request away, and somebody else may have taken the frame.
    this.#look(member);
    const why = member.asleep && this.#waiting !== null ? this.#session.lostSince(this.#waiting.sinceMs) : null;
    if (why !== null) this.#giveUp(why);
  }

  /** Ends the wait, when all that rang together has been heard. */
  #answer(): void {
    const waiting = this.#waiting;
    if (waiting === null) return;
    this.#waiting = null;
    waiting.end();
    queueMicrotask(() => waiting.resolve(this.#report()));
  }

  #giveUp(why: unknown): void {
    this.#waiting?.end();
    this.#waiting?.reject(why);
    this.#waiting = null;
  }

  /** Gives out what is ready. */
  #report(): readonly S[] {
    const ready = this.#ready;
    this.#ready = [];
    for (const member of ready) {
      if (member.over) this.delete(member.subscriber);
      else this.#unknown.push(member);
    }
    return ready.map((member) => member.subscriber);
  }

  #sleep(limits: Limits): Promise<readonly S[]> {
    const { signal, timeoutMs, leftMs } = limits;
    return new Promise((resolve, reject) => {
      const onAbort = (): void => {
        if (signal !== undefined) this.#giveUp(aborted(signal));
      };
      const onTime = (): void => {
        // When the event loop stood still, the timer comes before the rings that came meanwhile.
        this.#session.doorbell.hear();
        if (this.#ready.length > 0) this.#answer();
        else this.#giveUp(timedOut(timeoutMs ?? 0, 'a frame of any member'));
      };
      const timer = timeoutMs === undefined ? undefined : setTimeout(onTime, leftMs);
      signal?.addEventListener('abort', onAbort, { once: true });
      const end = (): void => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', onAbort);
      };
      this.#waiting = { sinceMs: performance.now(), resolve, reject, end };
      const slept = this.#answersLeft > 0;
      this.#answersLeft = ANSWERS_PER_TURN;
      if (slept) return;
      setImmediate(() => {
        if (this.#ready.length > 0 || this.#members.size === 0) this.#answer();
      });
    });
  }

  /** What `wait` gives, until the set is empty or closed. */
  async *[Symbol.asyncIterator](): AsyncGenerator<readonly S[], void, undefined> {
    while (!this.#closed && this.#members.size > 0) {
      const ready = await this.wait();
      if (ready.length > 0) yield ready;
    }
  }

  /** Empties the set; whoever waits on it gets an empty answer. The subscribers stay open. Idempotent. */
  close(): void {
    this.#closed = true;
    for (const subscriber of [...this.#members.keys()]) this.delete(subscriber);
  }
  [Symbol.dispose](): void {
    this.close();
  }
}

class Member<S> implements RingListener {
  readonly subscriber: S;
  /** Armed, with nothing to take when it was looked at last. */
  asleep = false;
  over = false;
  readonly #heard: (member: Member<S>) => void;

  constructor(subscriber: S, heard: (member: Member<S>) => void) {
    this.subscriber = subscriber;
    this.#heard = heard;
  }

  onRing(): void {
    this.#heard(this);
  }
}
