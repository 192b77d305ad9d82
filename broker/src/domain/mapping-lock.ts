/**
 * One mapping's lock as the broker keeps it: who waits and who is told, what was removed and why, and when to look again. The deciding
 * is the arbiter's. Invariants: while somebody waits, a timer runs; every request is answered once; after `close` or `freeze` no word
 * in memory is touched any more.
 */
import { LeaseholdError } from '@leasehold/proto';
import {
  holdGeneration,
  holdIndex,
  isHoldOf,
  isRemovalMark,
  LockArbiter,
  type LockGrant,
  type LockMode,
  type RemovalReason,
} from '@leasehold/shm-core/internal';
import type { Attachment } from './attachment.ts';
import type { Clock, MappingMemory, Timer } from './ports.ts';
import type { Session } from './session.ts';

/** How soon the pump runs again while somebody waits, ms: whoever released may have been stopped before ringing. Doubles while nothing happens. */
const LOOK_AGAIN_MS_MIN = 50;
const LOOK_AGAIN_MS_MAX = 1000;
/** Removals whose reason is remembered. */
const REMOVALS_KEPT = 256;
const NS_PER_MS = 1e6;

/** Who is told what comes of a request; one of the two is called, once. */
export interface LockWaiter {
  granted(grant: LockGrant): void;
  refused(why: LeaseholdError): void;
}

export interface Waiting {
  readonly attachment: Attachment;
  readonly id: bigint;
  readonly mode: LockMode;
  readonly sinceMs: number;
}

export interface Held {
  /** Null when its owner is not known any more. */
  readonly attachment: Attachment | null;
  readonly id: bigint;
  readonly mode: LockMode;
  readonly fencingToken: bigint;
  readonly deadlineNs: bigint;
  readonly timeLeftMs: number;
}

export interface MappingLockParts {
  readonly name: string;
  readonly memory: Pick<MappingMemory, 'lock' | 'participants' | 'participant'>;
  readonly members: ReadonlyMap<number, Attachment>;
  readonly clock: Clock;
  readonly tokenLimit: bigint;
  readonly firstToken: bigint;
  /** A hold was taken from its holder, who may be unknown. */
  readonly onRemoved: (hold: { id: bigint; mode: LockMode }, reason: RemovalReason, owner: Attachment | null) => void;
  /** Somebody waits now, or nobody does any more. */
  readonly onContended?: (contended: boolean) => void;
}

export class MappingLock {
  readonly #parts: MappingLockParts;
  readonly #arbiter: LockArbiter;
  readonly #waiters = new Map<bigint, Waiting & { readonly waiter: LockWaiter }>();
  readonly #removals = new Map<bigint, { readonly reason: RemovalReason; readonly sessionId: bigint | null }>();
  /** Tokens of shared and exclusive holds that were granted here; of others the newest is told. */
  #grantedTokens = new Map<bigint, bigint>();
  /** What has happened in the step that runs, to be told after it. */
  readonly #untold: (() => void)[] = [];
  #stepping = false;
  #timer: Timer | null = null;
  #lookAgainMs = LOOK_AGAIN_MS_MIN;
  #contended = false;
  #closed = false;

  constructor(parts: MappingLockParts) {
    this.#parts = parts;
    const { memory, clock, tokenLimit, firstToken } = parts;
    this.#arbiter = new LockArbiter({
      lock: memory.lock,
      nowNs: () => clock.nowNs(),
      tokenLimit,
      participants: () => memory.participants(),
      participant: (index) => memory.participant(index),
      isLiving: (index, generation) => this.#mayHold(this.#member(index, generation)),
      onServed: (request, grant) => void this.#untold.push(() => this.#served(request.id, grant)),
      onRemoved: (hold, reason) => void this.#untold.push(() => this.#removed(hold, reason)),
    });
    this.#step(() => this.#arbiter.recover(firstToken));
  }

  #member(index: number, generation: number): Attachment | null {
    const member = this.#parts.members.get(index);
    return member?.place.generation === generation ? member : null;
  }
  /** A subscriber has a page, where it may write what it likes, but never the lock: that is its channel's publisher's. */
  #mayHold(member: Attachment | null): boolean {
    return member?.active === true && member.part.kind !== 'subscriber';
  }
  /** Whose hold that is, or was. */
  ownerOf(id: bigint): Attachment | null {
    return this.#member(holdIndex(id), holdGeneration(id));
  }

  /** Whether the last writer was removed, and nobody has declared the data good since. */
  get dirty(): boolean {
    return !this.#closed && this.#parts.memory.lock.dirty !== 0n;
  }
  /** F. */
  get newestToken(): bigint {
    return this.#closed ? 0n : this.#parts.memory.lock.fencingToken;
  }
  /** In the order in which they will be served. */
  get waiting(): readonly Waiting[] {
    return this.#arbiter.queue.flatMap(({ id }) => this.#waiters.get(id) ?? []);
  }
  /** Those that the words in memory show now. */
  held(): Held[] {
    if (this.#closed) return [];
    const nowNs = BigInt(Math.trunc(this.#parts.clock.nowNs()));
    return this.#arbiter.holds().map(({ id, mode, deadline }) => {
      // A mark in its place: its time is over.
      const deadlineNs = deadline === null || isRemovalMark(deadline) ? 0n : deadline;
      const leftMs = Math.floor(Number(deadlineNs - nowNs) / NS_PER_MS);
      return {
        attachment: this.ownerOf(id),
        id,
        mode,
        fencingToken: this.#grantedTokens.get(id) ?? this.newestToken,
        deadlineNs,
        timeLeftMs: Math.max(0, Math.min(leftMs, 2 ** 32 - 1)),
      };
    });
  }
  isHeld(id: bigint): boolean {
    return !this.#closed && this.#arbiter.holds().some((hold) => hold.id === id);
  }
  isWaiting(id: bigint): boolean {
    return this.#waiters.has(id);
  }
  /** Why a hold was removed, as long as that is remembered. */
  removalOf(id: bigint): RemovalReason | null {
    return this.#removals.get(id)?.reason ?? null;
  }
  /** Whether that session had the hold until it was removed, as long as that is remembered. */
  wasTakenFrom(session: Session, id: bigint): boolean {
    return this.#removals.get(id)?.sessionId === session.id;
  }

  /** @throws {LeaseholdError} INVALID_STATE: the participant waits already */
  request(attachment: Attachment, wanted: { id: bigint; mode: LockMode; ttlMs: number }, waiter: LockWaiter): void {
    const { index } = attachment.place;
    const participant = this.#parts.memory.participant(index);
    if (this.#closed || participant === undefined) {
      waiter.refused(this.#gone());
      return;
    }
    for (const { attachment: other } of this.#waiters.values()) {
      if (other !== attachment) continue;
      throw new LeaseholdError('INVALID_STATE', 'This participant waits for the lock already; it can wait once.');
    }
    const { id, mode, ttlMs } = wanted;
    this.#waiters.set(id, { attachment, id, mode, sinceMs: this.#parts.clock.nowMs(), waiter });
    this.#run(() => this.#arbiter.request({ participant, id, mode, ttlNs: ttlMs * NS_PER_MS }));
  }

  #gone(): LeaseholdError {
    const { name } = this.#parts;
    return new LeaseholdError('MAPPING_DELETED', `${JSON.stringify(name)} was deleted.`, { metadata: { name } });
  }

  /** Whatever `id` has come to: the request is dropped, and its waiter told; the hold is released. */
  cancel(id: bigint): 'dropped' | 'released' | 'lost' {
    if (this.#closed) return 'lost';
    const waiting = this.#waiters.get(id);
    this.#waiters.delete(id);
    this.#grantedTokens.delete(id);
    const outcome = this.#run(() => this.#arbiter.cancel(id));
    waiting?.waiter.refused(new LeaseholdError('ABORTED', 'The request for the lease was taken back.'));
    return outcome;
  }

  /** @returns the new deadline, ns of CLOCK_MONOTONIC; null when the hold is lost */
  renew(id: bigint, ttlMs: number): bigint | null {
    // Looked at before: the deadline is its participant's, who may hold another one by now.
    return this.isHeld(id) ? this.#arbiter.renew(id, ttlMs * NS_PER_MS) : null;
  }

  /** False when there is no such hold. */
  revoke(id: bigint, reason: RemovalReason): boolean {
    return !this.#closed && this.#run(() => this.#arbiter.revoke(id, reason));
  }

  /** The data is good, whatever happened to who was removed before. @returns whether it was in doubt */
  markClean(): boolean {
    if (!this.dirty) return false;
    const { lock } = this.#parts.memory;
    return lock.casDirty(lock.dirty, 0n);
  }

  /**
   * The participant's rights are over. `reason` null: its owner wished so, and what it held is released, not removed; but for a writer
   * whose time was over, who has not said that it was done.
   */
  leave(attachment: Attachment, reason: RemovalReason | null): void {
    if (this.#closed) return;
    const { place, part, session } = attachment;
    const clean = reason === null && part.kind !== 'proxy';
    this.#run(() => {
      // Wherever else it waits for this lock: what its end frees is granted to somebody who lives.
      if (session.ended) this.#arbiter.drop(({ id }) => this.ownerOf(id)?.session === session);
      const nowNs = BigInt(Math.trunc(this.#parts.clock.nowNs()));
      for (const { id, mode, deadline } of clean ? this.#arbiter.holds() : []) {
        const inTime = mode === 'shared' || (deadline !== null && nowNs < deadline);
        if (isHoldOf(id, place) && inTime) this.#arbiter.cancel(id);
      }
      this.#arbiter.participantEnded(place.index, place.generation, reason ?? (clean ? 'EXPIRED' : 'OWNER_DIED'));
      this.#untold.push(() => this.#refuseAll(attachment));
    });
  }

  #refuseAll(attachment: Attachment): void {
    const { name } = this.#parts;
    const why = `The participant that waited for the lease of ${JSON.stringify(name)} has left, or its session is over.`;
    const over = new LeaseholdError('LEASE_LOST', why, { metadata: { name } });
    for (const waiting of [...this.#waiters.values()]) {
      if (waiting.attachment === attachment) this.#refuse(waiting.id, over);
    }
  }

  /** Somebody released while others wait, or it is time to look again. */
  pump(): void {
    if (!this.#closed) this.#run(() => this.#arbiter.pump());
  }

  /**
   * The mapping is marked deleted: whoever waits is told, whoever holds is removed. Its memory may go afterwards.
   * @returns the newest token: none above it will be used
   */
  close(): bigint {
    if (this.#closed) return 0n;
    return this.#run(() => {
      const dropped = this.#arbiter.close('MAPPING_DELETED');
      const newest = this.newestToken;
      this.freeze();
      this.#untold.push(() => {
        for (const { id } of dropped) this.#refuse(id, this.#gone());
      });
      return newest;
    });
  }

  /** The broker ends: nobody waits here any more, and from now on memory stays as it is. */
  freeze(): void {
    if (this.#closed) return;
    // All at once: nobody is granted in between what he will not be told of.
    this.#arbiter.drop(() => true);
    this.#arbiter.pump();
    this.#closed = true;
    this.#timer?.cancel();
    this.#timer = null;
  }

  /** A step that somebody asked for: whoever waits is soon looked at again. */
  #run<T>(step: () => T): T {
    this.#lookAgainMs = LOOK_AGAIN_MS_MIN;
    return this.#step(step);
  }

  /**
   * Runs a step of the arbiter, sees to it that somebody looks again, and tells what has happened. IMPORTANT: after the step, because
   * whoever is told may end other participants, or the mapping and with it the memory that the arbiter looks at.
   */
  #step<T>(step: () => T): T {
    if (this.#stepping) return step();
    this.#stepping = true;
    let outcome: T;
    try {
      outcome = step();
    } finally {
      this.#stepping = false;
      this.#schedule();
    }
    for (let tell = this.#untold.shift(); tell !== undefined; tell = this.#untold.shift()) tell();
    return outcome;
  }

  #schedule(): void {
    this.#timer?.cancel();
    this.#timer = null;
    this.#tellContended(!this.#closed && this.#arbiter.queue.length > 0);
    if (!this.#contended) return;
    const { clock } = this.#parts;
    const deadlineNs = this.#arbiter.nextDeadlineNs;
    const untilDeadlineMs =
      deadlineNs === null ? Number.POSITIVE_INFINITY : Math.ceil((Number(deadlineNs) - clock.nowNs()) / NS_PER_MS);
    this.#timer = clock.after(Math.max(1, Math.min(untilDeadlineMs, this.#lookAgainMs)), () => {
      this.#timer = null;
      this.#lookAgainMs = Math.min(this.#lookAgainMs * 2, LOOK_AGAIN_MS_MAX);
      this.#step(() => this.#arbiter.pump());
    });
  }

  #tellContended(contended: boolean): void {
    if (contended === this.#contended) return;
    this.#contended = contended;
    this.#parts.onContended?.(contended);
  }

  #served(id: bigint, grant: LockGrant | null): void {
    if (grant === null) {
      const why = `All fencing tokens of this broker's epoch are used; restart the broker.`;
      this.#refuse(id, new LeaseholdError('TOKENS_EXHAUSTED', why));
      return;
    }
    const waiting = this.#waiters.get(id);
    this.#waiters.delete(id);
    this.#forgetOldTokens();
    this.#grantedTokens.set(id, grant.fencingToken);
    waiting?.waiter.granted(grant);
  }

  #refuse(id: bigint, why: LeaseholdError): void {
    const waiting = this.#waiters.get(id);
    this.#waiters.delete(id);
    waiting?.waiter.refused(why);
  }

  /** Holders release in memory, unseen: what nobody holds any more is forgotten now and then. */
  #forgetOldTokens(): void {
    if (this.#grantedTokens.size < REMOVALS_KEPT) return;
    const held = new Set(this.#arbiter.holds().map(({ id }) => id));
    this.#grantedTokens = new Map([...this.#grantedTokens].filter(([id]) => held.has(id)));
  }

  #removed(hold: { id: bigint; mode: LockMode }, reason: RemovalReason): void {
    this.#grantedTokens.delete(hold.id);
    const owner = this.ownerOf(hold.id);
    this.#removals.set(hold.id, { reason, sessionId: owner?.session.id ?? null });
    const [oldest] = this.#removals.keys();
    if (oldest !== undefined && this.#removals.size > REMOVALS_KEPT) this.#removals.delete(oldest);
    this.#parts.onRemoved(hold, reason, owner);
  }
}
