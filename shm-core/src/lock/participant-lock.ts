/**
 * A participant's side of the lock: taken and released in memory when nobody contends. No await, no RPC, every loop bounded by the
 * number of participants. What cannot be had here is asked of the broker with an id of `nextHoldId`, and confirmed when granted.
 * Precondition: at most one hold or request at a time, a pending one included; who shares a participant arbitrates before.
 */
import type { LockSegment } from '../mapping/lock-segment.ts';
import type { ParticipantPage } from '../mapping/participant-page.ts';
import type { ParticipantPages } from '../mapping/participant-pages.ts';
import { FREE, holderBase, type LockMode, makeHoldId, nextSerial } from './hold-id.ts';
import { isRemovalMark, type RemovalReason, removalReason } from './removal.ts';

/** A hold of the lock. It is over when W or H no longer has its id. */
export interface Hold {
  readonly mode: LockMode;
  readonly id: bigint;
  /** Exclusive: this hold's own. Shared: the newest. */
  readonly fencingToken: bigint;
  /** The exclusive hold that was removed and whose data nobody has declared good since; 0 = none. */
  readonly dirty: bigint;
}

export interface ParticipantLockParts {
  readonly lock: LockSegment;
  /** The participant's own page. */
  readonly page: ParticipantPage;
  readonly index: number;
  readonly generation: number;
  /** Those of all others; null for a `read` attachment, which can hold only shared. */
  readonly others: ParticipantPages | null;
  /** The last token that may be used. */
  readonly tokenLimit: bigint;
  /** CLOCK_MONOTONIC, ns. */
  readonly nowNs: () => number;
  /** Rings the broker's doorbell. Never blocks, never throws. */
  readonly ringBroker: () => void;
  /** Whether the broker is dead; never, by default. Who waited there waits no more, whatever C says. */
  readonly isBrokerGone?: () => boolean;
}

/** Tries to renew a hold that its broker renews at the same time. */
const RENEW_TRIES_MAX = 4;

/** All fencing tokens of this epoch are used. */
export class TokensExhaustedError extends Error {
  override readonly name = 'TokensExhaustedError';
}

export class ParticipantLock {
  readonly #lock: LockSegment;
  readonly #page: ParticipantPage;
  readonly #others: ParticipantPages | null;
  readonly #base: bigint;
  readonly #tokenLimit: bigint;
  readonly #nowNs: () => number;
  readonly #ringBroker: () => void;
  readonly #isBrokerGone: () => boolean;
  #serial = 0;

  constructor(parts: ParticipantLockParts) {
    this.#lock = parts.lock;
    this.#page = parts.page;
    this.#others = parts.others;
    this.#base = holderBase(parts.index, parts.generation);
    this.#tokenLimit = parts.tokenLimit;
    this.#nowNs = parts.nowNs;
    this.#ringBroker = parts.ringBroker;
    this.#isBrokerGone = parts.isBrokerGone ?? (() => false);
  }

  /** Whether nobody may take the lock past those who wait at the broker. */
  get mustQueue(): boolean {
    return this.#lock.queued && !this.#isBrokerGone();
  }

  /** An id that no hold or request of this participant has had. */
  nextHoldId(): bigint {
    this.#serial = nextSerial(this.#serial);
    return makeHoldId(this.#base, this.#serial);
  }

  /** Takes the lock together with other readers; null when that is the broker's to decide. */
  tryShared(ttlNs: number): Hold | null {
    const lock = this.#lock;
    const page = this.#page;
    if (this.mustQueue || lock.holder !== FREE || page.sharedHold !== FREE) return null;
    const id = this.nextHoldId();
    this.#storeDeadline(ttlNs);
    if (!page.casSharedHold(FREE, id)) return null;
    // IMPORTANT: H first, W second. A writer stores W first and looks at every H second, so at least one of the two sees the other;
    // with the look first here, a writer could come in between it and the store, and neither would.
    if (lock.holder !== FREE) {
      page.casSharedHold(id, FREE);
      this.#ringIfQueued();
      return null;
    }
    if (lock.deleted) {
      page.casSharedHold(id, FREE);
      return null;
    }
    const hold = { mode: 'shared' as const, id, fencingToken: lock.fencingToken, dirty: lock.dirty };
    return page.sharedHold === id ? hold : null;
  }

  /**
   * Takes the lock alone; null when that is the broker's to decide: somebody holds it or waits, or a page of a participant is missing.
   * @throws TokensExhaustedError; the lock is free again then.
   */
  tryExclusive(ttlNs: number): Hold | null {
    const lock = this.#lock;
    if (this.#others === null) throw new Error('a read attachment cannot hold exclusively');
    if (this.mustQueue || lock.holder !== FREE) return null;
    const id = this.nextHoldId();
    this.#storeDeadline(ttlNs);
    if (!lock.casHolder(FREE, id)) return null;
    // IMPORTANT: W first, then who takes part, then every H, our own too: an earlier owner of this index may still have one there.
    if (!this.#others.refresh() || this.#somebodyReads(this.#others)) {
      this.#giveBack(id);
      return null;
    }
    const fencingToken = lock.takeToken();
    // IMPORTANT: `dirty` before the last look at W. Were it read after, it could be our own removal that it tells of.
    const dirty = lock.dirty;
    if (lock.holder !== id) return null;
    if (fencingToken > this.#tokenLimit) {
      this.#giveBack(id);
      throw new TokensExhaustedError(`fencing token ${fencingToken} is past the last of this epoch`);
    }
    // The broker reads F after it has marked the mapping deleted: a token of a deleted mapping must not be used.
    if (lock.deleted) {
      this.#giveBack(id);
      return null;
    }
    return { mode: 'exclusive', id, fencingToken, dirty };
  }

  #somebodyReads(others: ParticipantPages): boolean {
    for (const { page } of others.pages) if (page.sharedHold !== FREE) return true;
    return this.#page.sharedHold !== FREE;
  }

  #giveBack(id: bigint): void {
    this.#lock.casHolder(id, FREE);
    this.#ringIfQueued();
  }

  /** What the broker granted under `id`, if it is still so. */
  confirm(mode: LockMode, id: bigint, granted: { fencingToken: bigint; dirty: bigint }): Hold | null {
    const hold = { mode, id, fencingToken: granted.fencingToken, dirty: granted.dirty };
    return this.stillHeld(hold) ? hold : null;
  }

  stillHeld({ mode, id }: Hold): boolean {
    return (mode === 'shared' ? this.#page.sharedHold : this.#lock.holder) === id;
  }

  /** Ends a hold, whose bytes must be detached before. False when it had been lost: nothing is changed then. */
  release({ mode, id }: Hold): boolean {
    const released = mode === 'shared' ? this.#page.casSharedHold(id, FREE) : this.#lock.casHolder(id, FREE);
    this.#ringIfQueued();
    return released;
  }

  /**
   * Moves the deadline to `ttlNs` from now. A deadline that has passed does not matter as long as nobody removed the hold: a remover
   * must first put its mark where the deadline is, from the value it saw, so that only one of the two succeeds.
   * @returns false when the hold is lost.
   */
  renew(hold: Hold, ttlNs: number): boolean {
    for (let tries = 0; tries < RENEW_TRIES_MAX; tries += 1) {
      const seen = this.#page.deadline;
      if (isRemovalMark(seen)) return false;
      if (this.#page.casDeadline(seen, this.#deadlineAfter(seen, ttlNs))) return this.stillHeld(hold);
    }
    return false;
  }

  /** Turns an exclusive hold into a shared one, with no writer in between. Null when it had been lost. */
  downgrade(hold: Hold): Hold | null {
    const id = this.nextHoldId();
    // IMPORTANT: H while W is still ours: a writer that takes W afterwards finds it.
    if (!this.#page.casSharedHold(FREE, id)) {
      this.#giveBack(hold.id);
      return null;
    }
    if (!this.#lock.casHolder(hold.id, FREE)) {
      this.#page.casSharedHold(id, FREE);
      this.#ringIfQueued();
      return null;
    }
    this.#ringIfQueued();
    const shared: Hold = { mode: 'shared', id, fencingToken: hold.fencingToken, dirty: hold.dirty };
    return this.stillHeld(shared) ? shared : null;
  }

  /** By an exclusive holder: the data is good, whatever happened to who was removed before. */
  markClean({ dirty }: Hold): void {
    if (dirty !== 0n) this.#lock.casDirty(dirty, 0n);
  }

  /** Gives an exclusive hold back whose data is not known to be good, where there is no broker to remove it. */
  abandon(hold: Hold): void {
    // What was in doubt when it was taken may have been declared good since.
    if (hold.mode === 'exclusive' && !this.#lock.casDirty(hold.dirty, hold.id)) this.#lock.casDirty(0n, hold.id);
    this.release(hold);
  }

  /** End of the hold, ns of CLOCK_MONOTONIC; meaningful while it lasts. */
  get deadlineNs(): bigint {
    return this.#page.deadline;
  }
  /** Why the last hold was removed; null when it was not. */
  get removalReason(): RemovalReason | null {
    return removalReason(this.#page.deadline);
  }

  /** IMPORTANT: only while nothing is held. A new deadline would bring to life again what is waiting to be removed. */
  #storeDeadline(ttlNs: number): void {
    this.#page.storeDeadline(this.#deadlineAfter(this.#page.deadline, ttlNs));
  }

  /** `ttlNs` from now, and never the value before: by that a remover tells that the hold has changed. */
  #deadlineAfter(seen: bigint, ttlNs: number): bigint {
    const next = BigInt(Math.trunc(this.#nowNs() + ttlNs));
    return next === seen ? next + 1n : next;
  }

  #ringIfQueued(): void {
    if (this.#lock.queued) this.#ringBroker();
  }
}
