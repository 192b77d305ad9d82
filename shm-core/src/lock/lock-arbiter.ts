/**
 * The broker's side of the lock: a queue in order of coming, and the pump that serves its head from the words in memory. Nothing here
 * waits. Invariants: while the queue is not empty C is 1, and nobody takes the lock past its head; when the pump returns, W is one of
 * the broker's own values only if the head wants to write and readers have yet to leave; every hold that is removed was marked first.
 * The words may have been written by anybody: whatever they hold, the pump ends.
 */
import type { LockSegment } from '../mapping/lock-segment.ts';
import { FREE, isHoldId, isHoldOf, type LockMode, RESERVED } from './hold-id.ts';
import { HoldRemover, type LockParticipant } from './hold-remover.ts';
import { isRemovalMark, type RemovalReason } from './removal.ts';

export interface LockRequest {
  readonly participant: LockParticipant;
  /** Not used before by that participant. */
  readonly id: bigint;
  readonly mode: LockMode;
  readonly ttlNs: number;
}

/** What a request was granted with. */
export interface LockGrant {
  readonly fencingToken: bigint;
  /** The exclusive hold that was removed and whose data nobody has declared good since; 0 = none. */
  readonly dirty: bigint;
  /** ns of CLOCK_MONOTONIC. */
  readonly deadlineNs: bigint;
}

/** A hold as the words show it. */
export interface SeenHold {
  readonly id: bigint;
  readonly mode: LockMode;
  /** D of its participant: a time, or why it is being removed; null when the participant has no page any more. */
  readonly deadline: bigint | null;
}

export interface ArbiterPorts {
  readonly lock: LockSegment;
  /** CLOCK_MONOTONIC, ns. */
  readonly nowNs: () => number;
  /** The last token that may be used. */
  readonly tokenLimit: bigint;
  /** Everybody whose page is there: whoever may hold shared. */
  readonly participants: () => Iterable<LockParticipant>;
  readonly participant: (index: number) => LockParticipant | undefined;
  /** Whether its session lives, as the broker itself knows. */
  readonly isLiving: (index: number, generation: number) => boolean;
  /** Told once the words are in order again; may call the arbiter. `grant` null: all fencing tokens are used. */
  readonly onServed: (request: LockRequest, grant: LockGrant | null) => void;
  readonly onRemoved: (hold: { id: bigint; mode: LockMode }, reason: RemovalReason) => void;
}

/** Rounds of one pump: each ends with a grant, a removal, or somebody else's step in between. Past them the next pump goes on. */
const ROUNDS_MAX = 1024;
/** Tries to renew a hold that its participant renews at the same time. */
const RENEW_TRIES_MAX = 4;

export class LockArbiter {
  readonly #ports: ArbiterPorts;
  readonly #lock: LockSegment;
  readonly #remover: HoldRemover;
  readonly #queue: LockRequest[] = [];
  /** What has happened and was not told yet. */
  readonly #untold: (() => void)[] = [];
  #nextDeadlineNs: bigint | null = null;

  constructor(ports: ArbiterPorts) {
    this.#ports = ports;
    this.#lock = ports.lock;
    this.#remover = new HoldRemover({
      ...ports,
      isWaiting: (index, generation) => this.#queue.some((request) => isOf(request, index, generation)),
      writerIsNext: () => this.#queue[0]?.mode === 'exclusive',
      onRemoved: (hold, reason) => void this.#untold.push(() => ports.onRemoved(hold, reason)),
      onBlocked: (deadlineNs) => this.#waitUntil(deadlineNs),
    });
  }

  /** In the order in which they will be served. */
  get queue(): readonly LockRequest[] {
    return this.#queue;
  }
  /** When the earliest hold in the head's way can be removed, ns of CLOCK_MONOTONIC; null when nobody waits. */
  get nextDeadlineNs(): bigint | null {
    return this.#nextDeadlineNs;
  }

  /** Puts a request at the end of the queue, and serves whom it can. */
  request(request: LockRequest): void {
    this.#queue.push(request);
    this.pump();
  }

  /** Whatever `id` has come to: a request is dropped, a hold released. */
  cancel(id: bigint): 'dropped' | 'released' | 'lost' {
    const at = this.#queue.findIndex((request) => request.id === id);
    if (at >= 0) this.#queue.splice(at, 1);
    const page = this.#remover.pageOf(id);
    const released = at < 0 && (this.#lock.casHolder(id, FREE) || page?.casSharedHold(id, FREE) === true);
    this.pump();
    if (at >= 0) return 'dropped';
    return released ? 'released' : 'lost';
  }

  /** Takes a hold away although its deadline has not come. False when there is no such hold. */
  revoke(id: bigint, reason: RemovalReason): boolean {
    if (!isHoldId(id)) return false;
    const removed =
      this.#lock.holder === id ? this.#remover.takeExclusive(id, reason) : this.#remover.takeShared(id, reason);
    this.pump();
    return removed;
  }

  /**
   * Moves the deadline of a hold, as its participant does in memory.
   * @returns the new one, ns of CLOCK_MONOTONIC; null when the hold is lost
   */
  renew(id: bigint, ttlNs: number): bigint | null {
    const page = this.#remover.pageOf(id);
    for (let tries = 0; page !== undefined && tries < RENEW_TRIES_MAX; tries += 1) {
      const seen = page.deadline;
      if (isRemovalMark(seen)) return null;
      const deadlineNs = this.#deadlineAfter(seen, ttlNs);
      if (!page.casDeadline(seen, deadlineNs)) continue;
      return this.#lock.holder === id || page.sharedHold === id ? deadlineNs : null;
    }
    return null;
  }

  /** Takes requests out of the queue, unanswered. The step that follows serves who is left. */
  drop(which: (request: LockRequest) => boolean): LockRequest[] {
    const dropped = this.#queue.filter(which);
    this.#queue.splice(0, this.#queue.length, ...this.#queue.filter((request) => !dropped.includes(request)));
    return dropped;
  }

  /** The participant has no rights any more: its requests are dropped, its holds removed. */
  participantEnded(index: number, generation: number, reason: RemovalReason): LockRequest[] {
    const dropped = this.drop((request) => isOf(request, index, generation));
    const holder = this.#lock.holder;
    if (isHoldOf(holder, { index, generation })) this.#remover.takeExclusive(holder, reason);
    const shared = this.#ports.participant(index)?.page.sharedHold ?? FREE;
    if (isHoldOf(shared, { index, generation })) this.#remover.takeShared(shared, reason);
    this.pump();
    return dropped;
  }

  /** Nobody can have the lock any more: requests are dropped, holds removed. */
  close(reason: RemovalReason): LockRequest[] {
    const dropped = this.#queue.splice(0);
    this.#takeAll(reason);
    // Once more: a writer may have become a reader meanwhile. Nobody else begins to hold in a deleted mapping.
    this.#takeAll(reason);
    this.pump();
    return dropped;
  }

  #takeAll(reason: RemovalReason): void {
    for (const { id, mode } of this.holds()) {
      if (mode === 'exclusive') this.#remover.takeExclusive(id, reason);
      else this.#remover.takeShared(id, reason);
    }
  }

  /** Who holds, as the words show it now. */
  holds(): SeenHold[] {
    const holds: SeenHold[] = [];
    const holder = this.#lock.holder;
    if (isHoldId(holder)) {
      holds.push({ id: holder, mode: 'exclusive', deadline: this.#remover.pageOf(holder)?.deadline ?? null });
    }
    for (const participant of this.#ports.participants()) {
      const { page } = participant;
      const id = page.sharedHold;
      if (isHoldOf(id, participant)) holds.push({ id, mode: 'shared', deadline: page.deadline });
    }
    return holds;
  }

  /** Begins on words that another broker may have left at any step. Call it before anything else, once its epoch is on disk. */
  recover(firstToken: bigint): void {
    for (let tries = 0; tries < ROUNDS_MAX; tries += 1) {
      const seen = this.#lock.fencingToken;
      const next = seen + 1n > firstToken ? seen + 1n : firstToken;
      if (this.#lock.casFencingToken(seen, next)) break;
    }
    const holder = this.#lock.holder;
    if (holder === RESERVED) this.#lock.storeHolder(FREE);
    else if (holder !== FREE) this.#remover.clearHolder(holder);
    this.#drainReaders();
    this.pump();
  }

  /** Serves the head of the queue for as long as it can be served, then tells what has happened. */
  pump(): void {
    this.#serve();
    for (let tell = this.#untold.shift(); tell !== undefined; tell = this.#untold.shift()) tell();
  }

  #serve(): void {
    this.#nextDeadlineNs = null;
    for (let rounds = 0; rounds < ROUNDS_MAX; rounds += 1) {
      // IMPORTANT: C before any look at W or H. Who releases stores first and looks at C second; were C set after the look, he
      // could release in between, find C 0 and not ring, and the head would wait for a free lock.
      const head = this.#queue[0];
      this.#lock.storeQueued(head !== undefined);
      if (head === undefined) {
        this.#lock.casHolder(RESERVED, FREE);
        return;
      }
      if (!(head.mode === 'exclusive' ? this.#serveExclusive(head) : this.#serveShared(head))) return;
    }
    this.#waitUntil(BigInt(Math.trunc(this.#ports.nowNs())));
  }

  /** @returns whether to look again; false when the head has to wait */
  #serveExclusive(head: LockRequest): boolean {
    const lock = this.#lock;
    if (!lock.casHolder(FREE, RESERVED)) {
      const seen = lock.holder;
      if (seen !== RESERVED) return this.#remover.clearHolder(seen);
    }
    if (!this.#drainReaders()) return false;
    const fencingToken = lock.takeToken();
    const dirty = lock.dirty;
    const usable = fencingToken <= this.#ports.tokenLimit;
    this.#queue.shift();
    if (!usable) {
      this.#served(head, null);
      return true;
    }
    const deadlineNs = this.#storeDeadline(head);
    lock.storeHolder(head.id);
    this.#served(head, { fencingToken, dirty, deadlineNs });
    return true;
  }

  /** Whether nobody reads any more. W is RESERVED: who starts now sees it and leaves again, and rings. */
  #drainReaders(): boolean {
    let empty = true;
    for (const participant of this.#ports.participants()) {
      const seen = participant.page.sharedHold;
      if (seen === FREE) continue;
      if (!this.#remover.clearShared(participant, seen)) empty = false;
    }
    return empty;
  }

  #serveShared(head: LockRequest): boolean {
    const lock = this.#lock;
    const { page } = head.participant;
    const holder = lock.holder;
    if (holder === RESERVED) lock.casHolder(RESERVED, FREE);
    else if (holder !== FREE) return this.#remover.clearHolder(holder);
    const left = page.sharedHold;
    if (left !== FREE) {
      this.#remover.removeShared(head.participant, left, 'EXPIRED');
      return true;
    }
    const deadlineNs = this.#storeDeadline(head);
    if (!page.casSharedHold(FREE, head.id)) return true;
    // IMPORTANT: H first, W second, as a participant does.
    if (lock.holder !== FREE) {
      page.casSharedHold(head.id, FREE);
      return true;
    }
    this.#queue.shift();
    this.#served(head, { fencingToken: lock.fencingToken, dirty: lock.dirty, deadlineNs });
    return true;
  }

  #served(request: LockRequest, grant: LockGrant | null): void {
    this.#untold.push(() => this.#ports.onServed(request, grant));
  }

  #waitUntil(deadlineNs: bigint): void {
    if (this.#nextDeadlineNs === null || deadlineNs < this.#nextDeadlineNs) this.#nextDeadlineNs = deadlineNs;
  }

  #storeDeadline({ participant, ttlNs }: LockRequest): bigint {
    const deadlineNs = this.#deadlineAfter(participant.page.deadline, ttlNs);
    participant.page.storeDeadline(deadlineNs);
    return deadlineNs;
  }
  /** Never the value before: by that a remover tells that the hold has changed. */
  #deadlineAfter(seen: bigint, ttlNs: number): bigint {
    const next = BigInt(Math.trunc(this.#ports.nowNs() + ttlNs));
    return next === seen ? next + 1n : next;
  }
}

const isOf = ({ participant }: LockRequest, index: number, generation: number): boolean =>
  participant.index === index && participant.generation === generation;
