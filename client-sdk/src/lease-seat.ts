/**
 * One participant's lock in this process, shared by all who take leases through it: `shared` ones join the hold that is there,
 * `exclusive` ones have it one after the other. Invariants: one hold or request at a time; the hold's deadline is never before that of
 * a lease in it; whoever leaves last gives the lock back. Everything here is synchronous and in memory.
 */
import { type AttachedMapping, type Hold, type LockMode, ParticipantLock } from '@leasehold/shm-core/internal';
import type { LeaseBroker } from './lease-broker.ts';
import type { LeaseClock } from './lease-clock.ts';
import type { LossReason } from './lease-errors.ts';
import type { LeasePages } from './lease-pages.ts';
import type { LeaseTerms } from './lease-terms.ts';
import { PayloadViews } from './payload-views.ts';

/** Above all times there are. */
const TIME_NS_LIMIT = 2 ** 62;

export interface SeatParts {
  readonly name: string;
  readonly mode: LockMode;
  readonly mapping: AttachedMapping;
  readonly terms: LeaseTerms;
  readonly clock: LeaseClock;
  readonly broker: LeaseBroker;
  /** Null for the seat of shared leases. */
  readonly pages: LeasePages | null;
}

export class LeaseSeat {
  /** Of the mapping. */
  readonly name: string;
  readonly mode: LockMode;
  readonly terms: LeaseTerms;
  readonly clock: LeaseClock;
  readonly broker: LeaseBroker;
  readonly pages: LeasePages | null;
  readonly views: PayloadViews;
  readonly #mapping: AttachedMapping;
  readonly #lock: ParticipantLock;
  #hold: Hold | null = null;
  #leases = 0;
  /** No later than that of the hold in memory. */
  #deadlineNs = 0;
  /** An exclusive hold whose lease has expired, and which the broker has perhaps not removed yet. */
  #overdue: Hold | null = null;
  /** Somebody waits here, and the hold is free. */
  onFree: () => void = () => undefined;
  /** End of the lease given last, ns of CLOCK_MONOTONIC. */
  grantedUntilNs = 0;

  constructor(parts: SeatParts) {
    const { mapping, clock, broker } = parts;
    this.name = parts.name;
    this.mode = parts.mode;
    this.terms = parts.terms;
    this.clock = clock;
    this.broker = broker;
    this.pages = parts.pages;
    this.views = new PayloadViews(parts.name, mapping);
    this.#mapping = mapping;
    this.#lock = new ParticipantLock({
      lock: mapping.lock,
      page: mapping.page,
      index: mapping.index,
      generation: mapping.generation,
      others: parts.pages?.others ?? null,
      tokenLimit: parts.terms.tokenLimit,
      nowNs: clock.nowNs,
      ringBroker: () => broker.ring(),
      isBrokerGone: () => broker.gone,
    });
  }

  /** Whether a lease of this process has the hold. */
  get occupied(): boolean {
    return this.#hold !== null;
  }
  /** Whether the last exclusive holder was removed, and nobody has declared the data good since. */
  get dirty(): boolean {
    return this.#mapping.lock.dirty !== 0n;
  }
  get deleted(): boolean {
    return this.#mapping.lock.deleted;
  }

  /**
   * A hold for one more lease, or null when it cannot be had here and now.
   * @throws TokensExhaustedError
   */
  take(ttlNs: number): Hold | null {
    if (this.#hold !== null) return this.#join(this.#hold, ttlNs);
    if (this.#overdue !== null) this.clearOverdue();
    const lock = this.#lock;
    const hold = this.mode === 'shared' ? lock.tryShared(ttlNs) : lock.tryExclusive(ttlNs);
    if (hold !== null) this.#begin(hold);
    return hold;
  }

  #begin(hold: Hold): void {
    this.#hold = hold;
    this.#leases = 1;
    const deadlineNs = Number(this.#lock.deadlineNs);
    // A mark in its place: it is being removed already, and its time is over.
    this.#deadlineNs = deadlineNs < TIME_NS_LIMIT ? deadlineNs : 0;
    this.grantedUntilNs = this.#deadlineNs;
  }

  /** Gives back what `giveUp` left: it is in the way, or there is no broker any more to remove it. */
  clearOverdue(): void {
    const overdue = this.#overdue;
    this.#overdue = null;
    if (overdue === null) return;
    if (this.#lock.stillHeld(overdue)) this.#lock.abandon(overdue);
    else this.broker.settled(overdue.id);
  }

  /** Somebody rang: the broker may have removed what `giveUp` left, and wants to know that nothing here uses it. */
  look(): void {
    if (this.#overdue !== null && !this.#lock.stillHeld(this.#overdue)) this.clearOverdue();
  }

  #join(hold: Hold, ttlNs: number): Hold | null {
    // Somebody waits at the broker: nobody goes past him, here neither.
    return this.mode === 'exclusive' || this.#lock.mustQueue ? null : this.joinGranted(hold, ttlNs);
  }

  /** One more lease in a hold that was granted for it too. Null when the hold is lost. */
  joinGranted(hold: Hold, ttlNs: number): Hold | null {
    if (this.#hold !== hold) return null;
    this.#leases += 1;
    const untilNs = this.renew(hold, ttlNs);
    if (untilNs === null) {
      this.#leases -= 1;
      return null;
    }
    this.grantedUntilNs = untilNs;
    return hold;
  }

  nextHoldId(): bigint {
    return this.#lock.nextHoldId();
  }

  /** What the broker granted under `id`, with one lease of `ttlNs` in it, if it is still so. */
  confirm(id: bigint, fencingToken: bigint, ttlNs: number): Hold | null {
    // IMPORTANT: `dirty` before the look at the hold: after it, it could be our own removal that it tells of.
    const { dirty } = this.#mapping.lock;
    const hold = this.#lock.confirm(this.mode, id, { fencingToken, dirty });
    if (hold === null) return null;
    this.#begin(hold);
    // The hold was granted for the longest of those for whom it was asked.
    this.grantedUntilNs = Math.min(this.#deadlineNs, this.clock.nowNs() + ttlNs);
    return hold;
  }

  /** Takes an id out of memory that nobody will answer for any more. */
  withdraw(id: bigint): void {
    this.#lock.release({ mode: this.mode, id, fencingToken: 0n, dirty: 0n });
  }

  stillHeld(hold: Hold): boolean {
    return this.#lock.stillHeld(hold);
  }

  /** @returns the lease's new end, ns of CLOCK_MONOTONIC; null when the hold is lost */
  renew(hold: Hold, ttlNs: number): number | null {
    const untilNs = this.clock.nowNs() + ttlNs;
    // Others are in the same hold: it may last longer than this lease, never shorter than one of them.
    if (this.#leases > 1 && untilNs <= this.#deadlineNs) return this.#lock.stillHeld(hold) ? untilNs : null;
    if (!this.#lock.renew(hold, ttlNs)) return null;
    this.#deadlineNs = untilNs;
    return untilNs;
  }

  /** A lease gives its part back, or has found it lost. @returns whether it was held until now */
  leave(hold: Hold): boolean {
    if (this.#leases > 1) {
      this.#leases -= 1;
      return this.#lock.stillHeld(hold);
    }
    this.#free();
    const kept = this.#lock.release(hold);
    if (!kept) this.broker.settled(hold.id);
    return kept;
  }

  /**
   * The lease is lost, or its time is over. A reader's hold is given back. A writer's that is still there stays for the broker, which
   * removes it as soon as somebody waits and says so to whoever comes next: what native code still writes harms nobody until then.
   * Without a broker nobody would remove it.
   */
  giveUp(hold: Hold): void {
    if (hold.mode === 'shared') return void this.leave(hold);
    this.#free();
    this.#overdue = hold;
    if (this.broker.lost !== null || !this.#lock.stillHeld(hold)) this.clearOverdue();
  }

  /** Gives an exclusive hold back whose data is not known to be good. */
  abandon(hold: Hold): void {
    this.#free();
    this.#lock.abandon(hold);
  }

  /** The shared hold that it becomes, with no writer in between; null when it was lost. */
  downgrade(hold: Hold): Hold | null {
    const shared = this.#lock.downgrade(hold);
    if (shared === null) {
      this.#free();
      this.broker.settled(hold.id);
    } else this.#hold = shared;
    this.grantedUntilNs = this.#deadlineNs;
    return shared;
  }

  /** The data is good. @returns the hold, which knows it */
  markClean(hold: Hold): Hold {
    this.#lock.markClean(hold);
    return { ...hold, dirty: 0n };
  }

  #free(): void {
    this.#hold = null;
    this.#leases = 0;
  }

  /** Why the last hold was lost. */
  get lossReason(): LossReason {
    return this.#lock.removalReason ?? (this.broker.lost === null ? 'REVOKED' : 'BROKER_LOST');
  }

  /** No lease is left. Nothing of it stays in the lock. */
  close(): void {
    this.clearOverdue();
    this.pages?.close();
    this.#mapping.release();
  }
}
