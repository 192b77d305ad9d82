/**
 * How the broker takes holds away: those of the dead, the overdue that are in somebody's way, and those that it is told to. Invariants:
 * a hold that its participant may still believe in is marked in its deadline word before it is taken; only the very hold that was
 * looked at is taken, and if it was released meanwhile nothing happens; before W is free again, `dirty` names the removed writer.
 */
import type { LockSegment } from '../mapping/lock-segment.ts';
import type { ParticipantPage } from '../mapping/participant-page.ts';
import { FREE, holdGeneration, holdIndex, isHoldOf, type LockMode, REMOVING, RESERVED } from './hold-id.ts';
import { isRemovalMark, type RemovalReason, removalMark, removalReason } from './removal.ts';

/** A participant whose page is there, whether or not its rights stand. */
export interface LockParticipant {
  readonly index: number;
  readonly generation: number;
  readonly page: ParticipantPage;
}

/** What the remover asks of the broker, and tells it. */
export interface RemoverPorts {
  readonly lock: LockSegment;
  /** CLOCK_MONOTONIC, ns. */
  readonly nowNs: () => number;
  readonly participant: (index: number) => LockParticipant | undefined;
  /** Whether its session lives, as the broker itself knows. */
  readonly isLiving: (index: number, generation: number) => boolean;
  /** Whether the participant has a request in the queue. */
  readonly isWaiting: (index: number, generation: number) => boolean;
  /** Whether the head of the queue wants to write. */
  readonly writerIsNext: () => boolean;
  readonly onRemoved: (hold: { id: bigint; mode: LockMode }, reason: RemovalReason) => void;
  /** Somebody is in the way who cannot be removed before that, ns of CLOCK_MONOTONIC. */
  readonly onBlocked: (deadlineNs: bigint) => void;
}

/** Tries to mark a hold that is being renewed at the same time. */
const MARK_TRIES_MAX = 16;

export class HoldRemover {
  readonly #ports: RemoverPorts;
  readonly #lock: LockSegment;

  constructor(ports: RemoverPorts) {
    this.#ports = ports;
    this.#lock = ports.lock;
  }

  /** W was seen not to be free: removes what is stale there. @returns whether to look again */
  clearHolder(seen: bigint): boolean {
    if (seen === FREE || seen === RESERVED) return true;
    if (seen === REMOVING) {
      // Only a broker that died in the middle leaves it so.
      this.#finishRemoval(REMOVING);
      return true;
    }
    const reason = this.#staleReason(seen, this.#ports.participant(holdIndex(seen)));
    if (reason === null) return this.#lock.holder !== seen;
    this.#removeExclusive(seen, reason);
    return true;
  }

  /** H was seen not to be free: removes it if it is stale. @returns whether it is in nobody's way any more */
  clearShared(participant: LockParticipant, seen: bigint): boolean {
    const reason = isHoldOf(seen, participant) ? this.#staleReason(seen, participant) : 'OWNER_DIED';
    if (reason === null) return false;
    this.removeShared(participant, seen, reason);
    return true;
  }

  /**
   * Why the hold `id`, which was just seen, can be removed; null when it cannot. When the reason is its deadline, the mark that makes a
   * late renewal fail is there.
   */
  #staleReason(id: bigint, participant: LockParticipant | undefined): RemovalReason | null {
    const index = holdIndex(id);
    const generation = holdGeneration(id);
    if (!this.#ports.isLiving(index, generation) || participant === undefined) return 'OWNER_DIED';
    // Who waits holds nothing: what is still there under its name it has given up.
    if (this.#ports.isWaiting(index, generation)) return 'EXPIRED';
    const { page } = participant;
    const deadline = page.deadline;
    if (isRemovalMark(deadline)) return removalReason(deadline);
    if (BigInt(Math.trunc(this.#ports.nowNs())) < deadline) {
      this.#ports.onBlocked(deadline);
      return null;
    }
    // IMPORTANT: the mark before the removal, from the deadline that was looked at. A renewal changes the same word from the same
    // value: one of the two fails, and nobody believes to have renewed what is being taken.
    if (page.casDeadline(deadline, removalMark('EXPIRED'))) return 'EXPIRED';
    this.#ports.onBlocked(deadline);
    return null;
  }

  /** Takes an exclusive hold, whatever its deadline says. @returns false when there is no such hold any more */
  takeExclusive(id: bigint, reason: RemovalReason): boolean {
    this.#mark(id, () => this.#lock.holder, reason);
    return this.#removeExclusive(id, reason);
  }

  /** The same for a shared hold. */
  takeShared(id: bigint, reason: RemovalReason): boolean {
    const participant = this.#participantOf(id);
    if (participant === undefined || participant.page.sharedHold !== id) return false;
    this.#mark(id, () => participant.page.sharedHold, reason);
    return this.removeShared(participant, id, reason);
  }

  /**
   * IMPORTANT: the deadline is read before the hold is looked at again, so that the mark is put only where `id` was still held: a
   * participant that has released it and taken another has stored another deadline in between.
   */
  #mark(id: bigint, held: () => bigint, reason: RemovalReason): void {
    const page = this.pageOf(id);
    for (let tries = 0; page !== undefined && tries < MARK_TRIES_MAX; tries += 1) {
      const deadline = page.deadline;
      if (isRemovalMark(deadline) || held() !== id) return;
      if (page.casDeadline(deadline, removalMark(reason))) return;
    }
  }

  /** A participant may write anything into its own page: what does not name it is no hold, and its removal nobody's loss. */
  removeShared(participant: LockParticipant, id: bigint, reason: RemovalReason): boolean {
    if (!participant.page.casSharedHold(id, FREE)) return false;
    if (isHoldOf(id, participant)) this.#ports.onRemoved({ id, mode: 'shared' }, reason);
    return true;
  }

  #removeExclusive(id: bigint, reason: RemovalReason): boolean {
    if (!this.#lock.casHolder(id, REMOVING)) return false;
    this.#finishRemoval(id);
    this.#ports.onRemoved({ id, mode: 'exclusive' }, reason);
    return true;
  }

  /** W is REMOVING. IMPORTANT: `dirty` and the token before W is free, or the next holder is not told. */
  #finishRemoval(id: bigint): void {
    this.#lock.storeDirty(id);
    this.#lock.takeToken();
    this.#lock.storeHolder(this.#ports.writerIsNext() ? RESERVED : FREE);
  }

  /** The page of a hold's participant, while it is the same participant's. */
  pageOf(id: bigint): ParticipantPage | undefined {
    return this.#participantOf(id)?.page;
  }
  #participantOf(id: bigint): LockParticipant | undefined {
    const participant = this.#ports.participant(holdIndex(id));
    return participant?.generation === holdGeneration(id) ? participant : undefined;
  }
}
