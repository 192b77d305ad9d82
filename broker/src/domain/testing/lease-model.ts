/**
 * What the lock of one mapping should do, as plain sets and one queue: the sequential specification that the simulation holds the words
 * in memory, the grants and the removals to. It knows nothing of words, marks or retries. Time is told to it, ns of CLOCK_MONOTONIC.
 */
import type { LockMode, RemovalReason } from '@leasehold/shm-core/internal';

/** Participant index and generation: a hold id without its serial. */
export const participantOf = (holdId: bigint): bigint => holdId >> 32n;

export interface ModelRequest {
  readonly id: bigint;
  readonly mode: LockMode;
  readonly ttlNs: bigint;
}

export interface ModelHold {
  readonly id: bigint;
  readonly mode: LockMode;
  deadlineNs: bigint;
}

/** What has become of a request. */
export type Answer =
  | { readonly kind: 'granted'; readonly fencingToken: bigint; readonly dirty: bigint }
  | { readonly kind: 'tokens-exhausted' | 'participant-ended' | 'deleted' | 'taken-back' };

export interface ModelRemoval {
  readonly id: bigint;
  readonly mode: LockMode;
  readonly reason: RemovalReason;
}

/** A broker that died while it removed a writer leaves no name: something that is not 0 stands for it. */
const NAMELESS = 2n;

export class LeaseModel {
  tokenLimit: bigint;
  writer: ModelHold | null = null;
  readonly readers = new Map<bigint, ModelHold>();
  queue: ModelRequest[] = [];
  /** The broker keeps the lock for a writer at the head of the queue. */
  reserved = false;
  /** Whether participants see that somebody waits. */
  contended = false;
  dirty = 0n;
  newestToken: bigint;
  deleted = false;
  readonly #living = new Set<bigint>();
  readonly answers = new Map<bigint, Answer>();
  readonly removals: ModelRemoval[] = [];

  constructor(newestToken: bigint, tokenLimit: bigint) {
    this.newestToken = newestToken;
    this.tokenLimit = tokenLimit;
  }

  holdOf(id: bigint): ModelHold | null {
    if (this.writer?.id === id) return this.writer;
    const shared = this.readers.get(participantOf(id));
    return shared?.id === id ? shared : null;
  }

  /** What the word of the writer shows; `reservedWord` is the broker's own value. */
  holderWord(reservedWord: bigint): bigint {
    return this.writer?.id ?? (this.reserved ? reservedWord : 0n);
  }

  join(participant: bigint): void {
    this.#living.add(participant);
  }
  isLiving(participant: bigint): boolean {
    return this.#living.has(participant);
  }

  /** In memory, for nobody waits. */
  trySharedAt(id: bigint, deadlineNs: bigint): boolean {
    if (this.contended || this.reserved || this.writer !== null || this.deleted) return false;
    if (this.readers.has(participantOf(id))) return false;
    this.readers.set(participantOf(id), { id, mode: 'shared', deadlineNs });
    return true;
  }
  /** `tokenLimit`: the last one that this participant may use; it may be that of a broker before. */
  tryExclusiveAt(id: bigint, deadlineNs: bigint, tokenLimit: bigint): 'held' | 'refused' | 'tokens-exhausted' {
    if (this.contended || this.reserved || this.writer !== null || this.readers.size > 0) return 'refused';
    this.newestToken += 1n;
    if (this.newestToken > tokenLimit) return 'tokens-exhausted';
    if (this.deleted) return 'refused';
    this.writer = { id, mode: 'exclusive', deadlineNs };
    return 'held';
  }
  /** @returns whether it was held */
  release(id: bigint): boolean {
    const hold = this.holdOf(id);
    if (hold === null) return false;
    if (hold.mode === 'exclusive') this.writer = null;
    else this.readers.delete(participantOf(id));
    return true;
  }
  downgrade(from: bigint, to: bigint): boolean {
    const hold = this.holdOf(from);
    if (hold === null) return false;
    this.release(from);
    this.readers.set(participantOf(to), { id: to, mode: 'shared', deadlineNs: hold.deadlineNs });
    return true;
  }
  markClean(dirty: bigint): void {
    if (dirty !== 0n && this.dirty === dirty) this.dirty = 0n;
  }

  request(request: ModelRequest, nowNs: bigint): void {
    if (this.deleted) this.answers.set(request.id, { kind: 'deleted' });
    else this.queue.push(request);
    this.pump(nowNs);
  }
  cancel(id: bigint, nowNs: bigint): 'dropped' | 'released' | 'lost' {
    const dropped = this.#drop((request) => request.id === id).length > 0;
    const released = !dropped && !this.deleted && this.release(id);
    this.pump(nowNs);
    return dropped ? 'dropped' : released ? 'released' : 'lost';
  }
  revoke(id: bigint, nowNs: bigint): boolean {
    const removed = !this.deleted && this.#remove(this.holdOf(id), 'REVOKED');
    this.pump(nowNs);
    return removed;
  }

  /** It will be granted nothing: its session is over. What it holds is looked after by `end`. */
  drop(participant: bigint): void {
    for (const { id } of this.#drop((request) => participantOf(request.id) === participant)) {
      this.answers.set(id, { kind: 'participant-ended' });
    }
  }
  /** The rights of a participant are over; `reason` null: what it held is released, but for a writer whose time was over. */
  end(participant: bigint, reason: RemovalReason | null, nowNs: bigint): void {
    this.#living.delete(participant);
    if (this.deleted) return;
    this.drop(participant);
    for (const hold of [this.writer, this.readers.get(participant) ?? null]) {
      if (hold === null || participantOf(hold.id) !== participant) continue;
      const inTime = hold.mode === 'shared' || nowNs < hold.deadlineNs;
      if (reason === null && inTime) this.release(hold.id);
      else this.#remove(hold, reason ?? 'EXPIRED');
    }
    this.pump(nowNs);
  }
  delete(): void {
    for (const { id } of this.#drop(() => true)) this.answers.set(id, { kind: 'deleted' });
    for (const hold of [this.writer, ...this.readers.values()]) this.#remove(hold, 'MAPPING_DELETED');
    this.pump(0n);
    this.deleted = true;
  }

  /** The process is gone, and with it its page: nobody sees its shared hold any more. */
  forget(participant: bigint): void {
    this.#living.delete(participant);
    this.readers.delete(participant);
  }

  /** The broker ends in order: nobody waits any more. */
  close(nowNs: bigint): void {
    this.queue = [];
    this.pump(nowNs);
  }

  /** Another broker, whose tokens are above `firstToken`; `halfRemoved`: the last one died while it removed the writer. */
  restart(firstToken: bigint, tokenLimit: bigint, halfRemoved: boolean): void {
    this.queue = [];
    this.tokenLimit = tokenLimit;
    this.#living.clear();
    this.newestToken = this.newestToken + 1n > firstToken ? this.newestToken + 1n : firstToken;
    if (halfRemoved) {
      this.writer = null;
      this.dirty = NAMELESS;
      this.newestToken += 1n;
    }
    for (const hold of [this.writer, ...this.readers.values()]) this.#remove(hold, 'OWNER_DIED');
    this.pump(0n);
  }

  #drop(which: (request: ModelRequest) => boolean): ModelRequest[] {
    const dropped = this.queue.filter(which);
    if (dropped.length > 0) this.queue = this.queue.filter((request) => !which(request));
    return dropped;
  }

  #remove(hold: ModelHold | null, reason: RemovalReason): boolean {
    if (hold === null) return false;
    this.release(hold.id);
    if (hold.mode === 'exclusive') {
      this.dirty = hold.id;
      this.newestToken += 1n;
    }
    this.removals.push({ id: hold.id, mode: hold.mode, reason });
    return true;
  }

  /** Why a hold in somebody's way may be taken; null: it stays. */
  #staleReason({ id, deadlineNs }: ModelHold, nowNs: bigint): RemovalReason | null {
    if (!this.#living.has(participantOf(id))) return 'OWNER_DIED';
    if (this.queue.some((request) => participantOf(request.id) === participantOf(id))) return 'EXPIRED';
    return nowNs >= deadlineNs ? 'EXPIRED' : null;
  }

  /** Whether the head of the queue could be served now: nobody is in its way but those who can be removed. */
  headIsFree(nowNs: bigint): boolean {
    const head = this.queue[0];
    if (head === undefined) return false;
    const inTheWay = head.mode === 'exclusive' ? [this.writer, ...this.readers.values()] : [this.writer];
    return inTheWay.every((hold) => hold === null || this.#staleReason(hold, nowNs) !== null);
  }

  /** Serves the head of the queue for as long as it can be served. */
  pump(nowNs: bigint): void {
    if (this.deleted) return;
    for (;;) {
      const head = this.queue[0];
      this.contended = head !== undefined;
      if (head?.mode !== 'exclusive') this.reserved = false;
      if (head === undefined) return;
      if (this.writer !== null) {
        const reason = this.#staleReason(this.writer, nowNs);
        if (reason === null) return;
        this.#remove(this.writer, reason);
      } else if (head.mode === 'shared') {
        this.#grantShared(head, nowNs);
      } else if (!this.#grantExclusive(head, nowNs)) return;
    }
  }

  #grantShared(head: ModelRequest, nowNs: bigint): void {
    const participant = participantOf(head.id);
    this.#remove(this.readers.get(participant) ?? null, 'EXPIRED');
    this.queue.shift();
    this.readers.set(participant, { id: head.id, mode: 'shared', deadlineNs: nowNs + head.ttlNs });
    this.answers.set(head.id, { kind: 'granted', fencingToken: this.newestToken, dirty: this.dirty });
  }

  #grantExclusive(head: ModelRequest, nowNs: bigint): boolean {
    this.reserved = true;
    for (const hold of [...this.readers.values()]) {
      const reason = this.#staleReason(hold, nowNs);
      if (reason !== null) this.#remove(hold, reason);
    }
    if (this.readers.size > 0) return false;
    this.queue.shift();
    this.newestToken += 1n;
    if (this.newestToken > this.tokenLimit) {
      this.answers.set(head.id, { kind: 'tokens-exhausted' });
      return true;
    }
    this.reserved = false;
    this.writer = { id: head.id, mode: 'exclusive', deadlineNs: nowNs + head.ttlNs };
    this.answers.set(head.id, { kind: 'granted', fencingToken: this.newestToken, dirty: this.dirty });
    return true;
  }
}
