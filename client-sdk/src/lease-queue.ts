/**
 * Who waits in this process for one seat: in order of coming, readers as one group. Invariants: one request at the broker at a time;
 * a request that is given up is withdrawn, and nothing else is started until that is answered or the broker is lost; nobody waits for
 * longer than he wished, but for the answer that his request needs.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { LeaseholdError } from '@leasehold/proto';
import type { Hold } from '@leasehold/shm-core/internal';
import { LOOK_AGAIN_MS } from './doorbell.ts';
import { Lease } from './lease.ts';
import { grantsLost, heldHere, leaseTimeout, mappingDeleted, tokensExhausted } from './lease-errors.ts';
import type { LeaseSeat } from './lease-seat.ts';
import { LeaseWaiter, type LeaseWish } from './lease-waiter.ts';
import { isUndecided, withdraw } from './lease-withdrawal.ts';
import { aborted } from './limits.ts';
import { asLeaseholdError } from './memory-errors.ts';

/** How long an aborted wait lasts at most, ms: until the broker has answered that nothing is held. */
const WITHDRAWAL_BOUND_MS = 250;
/** How soon readers that wait behind this process's own look whether they may join it now, ms. */
const JOIN_AGAIN_MS = 10;
/** Pause after a refusal that may pass, ms; doubles with every one. */
const REFUSED_PAUSE_MS = 5;
const REFUSED_PAUSE_MS_MAX = 250;
/** Two clocks may disagree by so much about when a wait is over, ms. */
const TIMER_SLACK_MS = 100;
const NS_PER_MS = 1e6;

/** A request at the broker. */
interface Round {
  readonly group: Set<LeaseWaiter>;
  /** Whoever wished to wait until then or longer is answered by the broker. */
  untilNs: number;
  readonly abort: AbortController;
  readonly over: PromiseWithResolvers<void>;
}

export class LeaseQueue {
  readonly #seat: LeaseSeat;
  readonly #waiting: LeaseWaiter[] = [];
  #round: Round | null = null;
  #running: Promise<void> | null = null;
  #cancelLook: (() => void) | null = null;
  #closed: LeaseholdError | null = null;

  /** `onDeleted`: a lease has ended, and the mapping is deleted. */
  constructor(seat: LeaseSeat, onDeleted: () => void) {
    this.#seat = seat;
    seat.onFree = () => {
      if (this.#waiting.length > 0) this.#goOn();
      if (seat.deleted) onDeleted();
    };
  }

  get busy(): boolean {
    return this.#waiting.length > 0 || this.#running !== null;
  }

  /**
   * A lease in memory, now; null when that cannot be, or when somebody of this process has waited for longer.
   * @throws LeaseholdError MAPPING_DELETED, TOKENS_EXHAUSTED, CLOSED
   */
  tryTake(ttlNs: number, auto: boolean): Lease | null {
    if (this.#closed !== null) throw this.#closed;
    if (this.busy) return this.#notNow();
    let hold: Hold | null;
    try {
      hold = this.#seat.take(ttlNs);
    } catch (error) {
      throw tokensExhausted(this.#seat.name, error);
    }
    if (hold === null) return this.#notNow();
    return new Lease(this.#seat, hold, { ttlNs, auto });
  }

  #notNow(): null {
    const { deleted, occupied, name, clock, pages } = this.#seat;
    if (deleted) throw mappingDeleted(name);
    // What is in the way here may have been taken away without anybody's having noticed yet.
    if (occupied) clock.look();
    if (pages?.missing === true) void pages.fetchMissing();
    return null;
  }

  /** @throws LeaseholdError LEASE_TIMEOUT, LEASE_HELD, ABORTED, MAPPING_DELETED, BROKER_LOST, TOKENS_EXHAUSTED, CLOSED, … */
  take(wish: LeaseWish): Promise<Lease> {
    if (this.#closed !== null) return Promise.reject(this.#closed);
    const waiter = new LeaseWaiter(this.#seat.clock, wish, {
      onTimeUp: () => this.#timeUp(waiter),
      onAbort: (signal) => this.#leave(waiter, aborted(signal)),
    });
    this.#waiting.push(waiter);
    this.#goOn();
    return waiter.lease;
  }

  #goOn(): void {
    if (this.#running !== null) return;
    this.#grantInMemory();
    if (this.#seat.occupied) this.#waitForOurOwn();
    else if (this.#waiting.length > 0) this.#start();
  }

  #start(): void {
    this.#running = this.#run()
      .catch((defect: unknown) => this.#refuse([...this.#waiting], defect))
      .finally(() => {
        this.#running = null;
        if (this.#waiting.length > 0) this.#goOn();
      });
  }

  /** Serves from the head whom memory can serve. */
  #grantInMemory(): void {
    for (let head = this.#waiting[0]; head !== undefined; head = this.#waiting[0]) {
      try {
        const hold = this.#seat.take(head.wish.ttlNs);
        if (hold === null) return;
        this.#waiting.shift();
        head.grant(new Lease(this.#seat, hold, head.wish));
      } catch (error) {
        this.#waiting.shift();
        head.refuse(tokensExhausted(this.#seat.name, error));
      }
    }
  }

  /**
   * Nothing tells readers that nobody waits at the broker any more, and that they may join what this process holds; and the ring that
   * tells of a hold that was taken away may be lost.
   */
  #waitForOurOwn(): void {
    this.#refuseLate([]);
    if (this.#waiting.length === 0) return;
    this.#cancelLook?.();
    const lookAgainMs = this.#seat.mode === 'shared' ? JOIN_AGAIN_MS : LOOK_AGAIN_MS;
    this.#cancelLook = this.#seat.clock.after(lookAgainMs, () => {
      this.#cancelLook = null;
      this.#seat.clock.look();
      if (this.#waiting.length > 0) this.#goOn();
    });
  }

  async #run(): Promise<void> {
    while (this.#waiting.length > 0 && !this.#seat.occupied && this.#closed === null) {
      const { pages } = this.#seat;
      if (pages?.missing === true) {
        await Promise.race([pages.fetchMissing(), sleep(WITHDRAWAL_BOUND_MS, undefined, { ref: false })]);
        this.#grantInMemory();
        if (this.#waiting.length === 0 || this.#seat.occupied) return;
      }
      await this.#askBroker();
      this.#grantInMemory();
    }
  }

  /** One request, for whoever waits now. Never rejects. */
  async #askBroker(): Promise<void> {
    const seat = this.#seat;
    const group = seat.mode === 'exclusive' ? this.#waiting.slice(0, 1) : [...this.#waiting];
    this.#refuseLate(group);
    const hopeless = seat.deleted ? mappingDeleted(seat.name) : seat.broker.lost;
    if (hopeless !== null) return this.#refuse(group, hopeless);
    // Who does not wait at all gets his answer first; the others come with him if it is a good one.
    const patient = group.every(({ wish }) => wish.waitMs > 0);
    const nowNs = seat.clock.nowNs();
    const untilNs = Math.max(...group.map((waiter) => waiter.untilNs));
    const request = {
      mode: seat.mode,
      holdId: seat.nextHoldId(),
      ttlMs: Math.max(...group.map(({ wish }) => wish.ttlNs)) / NS_PER_MS,
      waitMs: patient ? Math.max(1, Math.ceil((untilNs - nowNs) / NS_PER_MS)) : 0,
    };
    // When the broker will have answered, but for the time that an answer takes.
    const round = {
      group: new Set(group),
      untilNs: patient ? untilNs : 0,
      abort: new AbortController(),
      over: Promise.withResolvers<void>(),
    };
    this.#round = round;
    let pauseMs = 0;
    try {
      const fencingToken = await seat.broker.acquire(request, round.abort.signal);
      this.#granted(round, request.holdId, fencingToken);
    } catch (error) {
      pauseMs = await this.#failed(round, request.holdId, asLeaseholdError(error));
    } finally {
      this.#round = null;
      round.over.resolve();
    }
    if (pauseMs > 0) await sleep(pauseMs, undefined, { ref: false });
  }

  #granted({ group }: Round, holdId: bigint, fencingToken: bigint): void {
    const seat = this.#seat;
    const [first, ...others] = group;
    const hold = seat.confirm(holdId, fencingToken, first?.wish.ttlNs ?? 0);
    if (hold === null) {
      this.#triedInVain(group, (waiter) => grantsLost(seat.name, seat.mode, waiter.tries));
      return;
    }
    // All have left while it was granted.
    if (first === undefined) return void seat.leave(hold);
    this.#grant(first, hold);
    for (const waiter of others) {
      if (seat.joinGranted(hold, waiter.wish.ttlNs) === null) break;
      this.#grant(waiter, hold);
    }
  }

  #grant(waiter: LeaseWaiter, hold: Hold): void {
    this.#drop(waiter);
    waiter.grant(new Lease(this.#seat, hold, waiter.wish));
  }

  /** @returns how long to pause before the broker is asked again, ms */
  async #failed(round: Round, holdId: bigint, why: unknown): Promise<number> {
    const seat = this.#seat;
    const { group } = round;
    const code = why instanceof LeaseholdError ? why.code : 'INTERNAL';
    if (isUndecided(why)) {
      // No answer comes any more: whose time is up waits for none.
      round.untilNs = Number.POSITIVE_INFINITY;
      if (code === 'TIMED_OUT') this.#refuseLate([]);
      else this.#refuse(lateOnes(group, seat.clock.nowNs()), seat.broker.lost ?? why);
      await withdraw(seat, holdId, () => this.#closed !== null);
    }
    if (code === 'LEASE_HELD') {
      this.#refuse(
        [...group].filter(({ wish }) => wish.waitMs === 0),
        why,
      );
    } else if (code === 'LEASE_TIMEOUT') {
      // The broker has a bound of its own. Whoever wished to wait for longer asks again.
      const soonNs = seat.clock.nowNs() + TIMER_SLACK_MS * NS_PER_MS;
      this.#refuse(lateOnes(group, soonNs), why);
    } else if (mayPass(why) && seat.broker.lost === null) {
      this.#refuse(lateOnes(group, seat.clock.nowNs()), why);
      this.#triedInVain(group, () => why);
      const tries = Math.max(0, ...[...group].map((waiter) => waiter.tries));
      return Math.min(REFUSED_PAUSE_MS * 2 ** tries, REFUSED_PAUSE_MS_MAX);
    } else {
      this.#refuse([...group], seat.broker.lost ?? why);
    }
    return 0;
  }

  #triedInVain(group: Iterable<LeaseWaiter>, why: (waiter: LeaseWaiter) => unknown): void {
    for (const waiter of group) {
      waiter.tries += 1;
      if (waiter.tries >= waiter.wish.maxTries) this.#refuse([waiter], why(waiter));
    }
  }

  #refuse(waiters: Iterable<LeaseWaiter>, why: unknown): void {
    for (const waiter of waiters) {
      this.#drop(waiter);
      waiter.refuse(why);
    }
  }

  #drop(waiter: LeaseWaiter): void {
    const at = this.#waiting.indexOf(waiter);
    if (at >= 0) this.#waiting.splice(at, 1);
  }

  #timeUp(waiter: LeaseWaiter): void {
    const round = this.#round;
    // The broker answers at that time, and knows who is in the way. Its first answer comes whatever time it takes.
    if (round?.group.has(waiter) === true && round.untilNs <= waiter.untilNs) return;
    if (waiter.wish.waitMs === 0 && round === null && !this.#seat.occupied) return;
    this.#leave(waiter, this.#whyLate(waiter));
  }

  /** Those whose time was up while something else was decided. */
  #refuseLate(except: readonly LeaseWaiter[]): void {
    const nowNs = this.#seat.clock.nowNs();
    for (const waiter of lateOnes(this.#waiting, nowNs)) {
      if (!except.includes(waiter)) this.#refuse([waiter], this.#whyLate(waiter));
    }
  }

  #whyLate(waiter: LeaseWaiter): LeaseholdError {
    const { name, mode, occupied } = this.#seat;
    const { waitMs } = waiter.wish;
    const behindOurOwn = occupied || this.#round?.group.has(waiter) === false;
    return behindOurOwn ? heldHere(name, mode, waitMs) : leaseTimeout(name, mode, waitMs);
  }

  /** One that waits no longer. If it was the last one for whom the broker was asked, it ends when that is withdrawn. */
  #leave(waiter: LeaseWaiter, why: unknown): void {
    this.#drop(waiter);
    const round = this.#round;
    if (round === null || !round.group.delete(waiter) || round.group.size > 0) {
      waiter.refuse(why);
      return;
    }
    round.abort.abort(why);
    const bound = this.#seat.clock.after(WITHDRAWAL_BOUND_MS, () => waiter.refuse(why));
    void round.over.promise.then(() => {
      bound();
      waiter.refuse(why);
    });
  }

  /** Refuses everybody, and resolves when nothing is queued at the broker any more. */
  async close(why: LeaseholdError): Promise<void> {
    this.#closed = why;
    this.#cancelLook?.();
    for (const waiter of [...this.#waiting]) this.#leave(waiter, why);
    await this.#running;
  }
}

const lateOnes = (waiters: Iterable<LeaseWaiter>, nowNs: number): LeaseWaiter[] =>
  [...waiters].filter(({ untilNs }) => untilNs <= nowNs);

const mayPass = (why: unknown): boolean => why instanceof LeaseholdError && why.retryable && why.code !== 'TIMED_OUT';
