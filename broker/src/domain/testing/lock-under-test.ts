/** The lock of one mapping as memory shows it and the broker tells of it, beside the model of what it should be. */
import { FREE, holderBase, isHoldId, type LockMode, RESERVED, type RemovalReason } from '@leasehold/shm-core/internal';
import type { OwnedMapping } from '../owned-mapping.ts';
import type { Place } from '../participant-indices.ts';
import type { Session } from '../session.ts';
import { type Answer, type LeaseModel, type ModelHold, participantOf } from './lease-model.ts';
import type { SurvivingWords } from './surviving-memory.ts';

/** Someone who waits for an answer of the broker. */
export interface Pending {
  readonly id: bigint;
  readonly mode: LockMode;
  readonly waitUntilNs: bigint;
  readonly outcome: Answer | { readonly kind: 'failed'; readonly code: string } | null;
}

export interface Removal {
  readonly id: bigint;
  readonly mode: LockMode;
  readonly reason: RemovalReason;
}

export class LockUnderTest {
  readonly mapping: OwnedMapping;
  readonly words: SurvivingWords;
  readonly model: LeaseModel;
  /** Removals that the broker told of. */
  readonly removed: Removal[] = [];
  /** Whoever has not been answered yet, by hold id. */
  readonly pending = new Map<bigint, Pending>();
  freeSinceNs: bigint | null = null;
  readonly #owners = new Map<bigint, Session>();
  /** Indices whose processes live on from before the broker: not given out. */
  readonly #retired = new Map<number, Place>();

  constructor(mapping: OwnedMapping, words: SurvivingWords, model: LeaseModel) {
    this.mapping = mapping;
    this.words = words;
    this.model = model;
  }

  get name(): string {
    return this.mapping.name;
  }
  get channel(): boolean {
    return this.mapping.channel !== null;
  }

  join(participant: bigint, owner: Session): void {
    this.model.join(participant);
    this.#owners.set(participant, owner);
  }
  /** Its process is gone: the broker has given its place away. */
  forget(participant: bigint): void {
    this.model.forget(participant);
  }
  /** Whether a holder's session lives, and so is to be told what becomes of its hold. */
  canBeTold(id: bigint): boolean {
    return this.#owners.get(participantOf(id))?.ended === false;
  }

  /** A new broker on old words: no generation comes again, and no index of those who `remain`, who may still touch their pages. */
  retire(remain: ReadonlySet<bigint>): void {
    for (const { index, generation } of [...this.words.pages.values()]) {
      if (!remain.has(participantOf(holderBase(index, generation)))) this.words.remove(index);
    }
    const { indices } = this.mapping;
    for (let round = 0; round <= this.words.newestGeneration; round += 1) {
      const places: Place[] = [];
      for (let place = indices.allocate(); place !== null; place = indices.allocate()) places.push(place);
      for (const place of places) {
        const kept = round === this.words.newestGeneration && this.words.pages.has(place.index);
        if (kept) this.#retired.set(place.index, place);
        else indices.free(place);
      }
    }
  }
  /** The process of a participant from before is gone. */
  leaveRetired({ index, generation }: Place, participant: bigint): void {
    if (this.words.pages.get(index)?.generation !== generation) return;
    this.words.remove(index);
    this.model.forget(participant);
    const place = this.#retired.get(index);
    if (place !== undefined) this.mapping.indices.free(place);
    this.#retired.delete(index);
  }

  /** What in memory, or in the broker when there is one, is not as in the model; null when all is. */
  difference(hasBroker: boolean): string | null {
    const { model, mapping } = this;
    const { lock } = this.words;
    const expected = model.holderWord(RESERVED);
    if (lock.holder !== expected) return `W is ${hex(lock.holder)}, should be ${hex(expected)}`;
    if (lock.dirty !== model.dirty) return `dirty is ${hex(lock.dirty)}, should be ${hex(model.dirty)}`;
    if (lock.fencingToken !== model.newestToken) return `F is ${lock.fencingToken}, should be ${model.newestToken}`;
    if (lock.queued !== model.contended) return `C is ${lock.queued}, should be ${model.contended}`;
    const page = this.#pageDifference();
    if (page !== null || !hasBroker) return page;
    const waiting = ids(mapping.lock.waiting);
    if (waiting === ids(model.queue)) return this.#proxyDifference();
    return `waiting are ${waiting}, should be ${ids(model.queue)}`;
  }

  /** Of the participants that the broker keeps for RPC alone, one for a session may be idle. Null when it is so. */
  #proxyDifference(): string | null {
    const { readers, writer, queue } = this.model;
    const idle = new Set<Session>();
    for (const { part, place, session, active } of this.mapping.members.values()) {
      if (part.kind !== 'proxy' || !active) continue;
      const participant = participantOf(holderBase(place.index, place.generation));
      const busy = [writer, readers.get(participant), ...queue].some(
        (one) => one && participantOf(one.id) === participant,
      );
      if (busy) continue;
      if (idle.has(session)) return `${session.name} has two idle proxies`;
      idle.add(session);
    }
    return null;
  }

  #pageDifference(): string | null {
    const { readers, writer } = this.model;
    const writing = isHoldId(this.words.lock.holder);
    for (const { page, index, generation } of this.words.pages.values()) {
      const participant = participantOf(holderBase(index, generation));
      const reader = readers.get(participant);
      const shared = page.sharedHold;
      if (shared !== (reader?.id ?? FREE)) return `H[${index}] is ${hex(shared)}, should be ${hex(reader?.id ?? FREE)}`;
      if (shared !== FREE && writing) return `somebody writes while ${hex(shared)} reads`;
      const own = writer !== null && participantOf(writer.id) === participant ? writer : null;
      const hold = reader ?? own;
      if (hold !== null && !sameDeadline(page.deadline, hold)) {
        return `D[${index}] is ${page.deadline}, should be ${hold.deadlineNs}`;
      }
    }
    return null;
  }
}

/** Every new deadline differs from the last, by 1 ns if by nothing else. */
function sameDeadline(deadlineNs: bigint, hold: ModelHold): boolean {
  if (deadlineNs === hold.deadlineNs + 1n) hold.deadlineNs = deadlineNs;
  return deadlineNs === hold.deadlineNs;
}

export const hex = (value: bigint): string => value.toString(16);
const ids = (of: readonly { readonly id: bigint }[]): string => of.map(({ id }) => hex(id)).join();
