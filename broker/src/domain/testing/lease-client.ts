/**
 * One client in the simulation: a session, the seats that it has in memory, and what it asks of the broker. Each request is made for
 * real and told to the model, and what it returns is compared.
 */
import { LeaseholdError } from '@leasehold/proto';
import { holderBase, type LockMode, makeHoldId } from '@leasehold/shm-core/internal';
import { acquireLease } from '../acquire-lease.ts';
import type { Attachment } from '../attachment.ts';
import type { BrokerCore } from '../broker-core.ts';
import { openPublisher } from '../channel-operations.ts';
import { grantedTtlMs, releaseLease, renewLease } from '../lease-operations.ts';
import { type Attached, attachMapping, claimTicket, detachMapping } from '../mapping-operations.ts';
import type { Promotion } from '../publisher-queue.ts';
import type { Session } from '../session.ts';
import { participantOf } from './lease-model.ts';
import { LeaseSeat } from './lease-seat.ts';
import { type LeaseWorld, settled } from './lease-world.ts';
import { cancellationOf } from './leases.ts';
import { hex, type LockUnderTest, type Pending } from './lock-under-test.ts';

const NS_PER_MS = 1_000_000n;
const ANSWERED_MAX = 4;

/** A lease or a request that the broker knows by its id. */
export interface Call extends Pending {
  id: bigint;
  readonly lock: LockUnderTest;
  readonly seat: LeaseSeat | null;
  readonly cancel: AbortController;
  outcome: Pending['outcome'];
}

export interface Wish {
  readonly mode: LockMode;
  readonly ttlMs: number;
  readonly waitMs: number;
}

export class LeaseClient {
  readonly session: Session;
  readonly core: BrokerCore;
  readonly seats: LeaseSeat[] = [];
  /** Those without an answer. */
  calls: Call[] = [];
  /** Some that were granted: their leases are held, or over. */
  readonly answered: Call[] = [];
  /** Whether its process can still touch memory. */
  running = true;
  readonly #world: LeaseWorld;

  constructor(world: LeaseWorld, core: BrokerCore, canMap: boolean) {
    this.#world = world;
    this.core = core;
    this.session = world.openSession(core, canMap);
    this.session.watch((event) => {
      if (event.kind === 'lease-lost') world.lost(event.holdId, event.reason);
    });
  }

  /** Whether it may ask the broker. */
  get connected(): boolean {
    return this.#world.core === this.core && !this.session.ended;
  }

  async attach(lock: LockUnderTest, access: 'read' | 'write'): Promise<void> {
    try {
      const { attachment, ticket } = await attachMapping(this.core, this.session, {
        name: lock.name,
        access,
        forLeases: true,
      });
      claimTicket(this.core, this.session, ticket.bytes);
      this.#sit(lock, attachment);
    } catch (error) {
      this.#expectCode(error, ['PARTICIPANTS_EXHAUSTED']);
    }
  }

  #sit(lock: LockUnderTest, attachment: Attachment): LeaseSeat {
    const seat = new LeaseSeat(this.#world, lock, attachment, this.core.tokens.limit);
    lock.join(seat.participant, this.session);
    this.seats.push(seat);
    return seat;
  }

  #expectCode(error: unknown, codes: readonly string[]): string {
    const code = error instanceof LeaseholdError ? error.code : '';
    if (!codes.includes(code)) throw error;
    return code;
  }

  /** Asks the broker, for a seat or by RPC alone. What comes of it is compared when it comes. */
  async acquire(lock: LockUnderTest, seat: LeaseSeat | null, wish: Wish): Promise<void> {
    const { nowNs } = this.#world;
    const ttlMs = grantedTtlMs(this.core.limits, wish.ttlMs);
    const attachmentId = seat?.attachment.id ?? 0n;
    const known = new Set(lock.mapping.lock.waiting.map(({ id }) => id));
    const call: Call = {
      id: seat?.nextHoldId() ?? 0n,
      mode: wish.mode,
      lock,
      seat,
      cancel: new AbortController(),
      waitUntilNs: nowNs + BigInt(wish.waitMs) * NS_PER_MS,
      outcome: null,
    };
    const { name } = lock;
    const request = { name: seat === null ? name : '', ...wish, attachmentId, holdId: call.id };
    const cancellation = cancellationOf(call.cancel.signal);
    const acquired = async () => acquireLease(this.core, this.session, request, cancellation);
    acquired().then(
      ({ hold, dirty }) => {
        call.id = hold.id;
        call.outcome = { kind: 'granted', fencingToken: hold.fencingToken, dirty };
      },
      (error: unknown) => {
        call.outcome = { kind: 'failed', code: error instanceof LeaseholdError ? error.code : String(error) };
      },
    );
    await settled();
    if (this.#failedAtOnce(call)) return;
    if (call.id === 0n) call.id = lock.mapping.lock.waiting.find(({ id }) => !known.has(id))?.id ?? 0n;
    if (seat === null) this.#checkProxy(call);
    lock.model.request({ id: call.id, mode: wish.mode, ttlNs: BigInt(ttlMs) * NS_PER_MS }, nowNs);
    if (wish.waitMs === 0 && !lock.model.answers.has(call.id)) return this.#heldByOthers(call);
    lock.pending.set(call.id, call);
    this.calls.push(call);
  }

  #failedAtOnce({ outcome, lock, seat }: Call): boolean {
    if (outcome?.kind !== 'failed') return false;
    const { code } = outcome;
    const crowded = seat === null && ['PARTICIPANTS_EXHAUSTED'].includes(code);
    const deleted = lock.model.deleted && ['MAPPING_NOT_FOUND', 'MAPPING_DELETED'].includes(code);
    return crowded || deleted;
  }

  /** A participant that the broker keeps for RPC holds or waits for one lease at a time. */
  #checkProxy({ id, lock }: Call): void {
    const participant = participantOf(id);
    const { model } = lock;
    const busy = [model.writer, ...model.readers.values(), ...model.queue].find(
      (other) => other !== null && participantOf(other.id) === participant,
    );
    this.#world.expect(!busy, () => `${lock.name}: ${hex(id)} asks while ${hex(busy?.id ?? 0n)} is there`);
    lock.join(participant, this.session);
  }

  #heldByOthers({ id, mode, lock, outcome }: Call): void {
    const told = outcome?.kind === 'failed' ? outcome.code : outcome?.kind;
    this.#world.expect(told === 'LEASE_HELD', () => `${lock.name}: with no time to wait the answer is ${told}`);
    lock.model.cancel(id, this.#world.nowNs);
    this.#world.happened.add(`${mode} held by others`);
  }

  /** Takes the call back. After its answer that changes nothing. */
  async abort(call: Call): Promise<void> {
    const { lock, id } = call;
    call.cancel.abort();
    await settled();
    if (!lock.pending.delete(id)) return;
    const told = call.outcome?.kind === 'failed' ? call.outcome.code : call.outcome?.kind;
    this.#world.expect(told === 'ABORTED', () => `${lock.name}: a cancelled call is answered ${told}`);
    lock.model.cancel(id, this.#world.nowNs);
    this.calls = this.calls.filter((other) => other !== call);
    this.#world.happened.add(`${call.mode} cancelled while waiting`);
  }

  /** What was answered is taken in. */
  collect(): void {
    for (const call of this.calls) {
      const { seat, outcome, mode, id } = call;
      if (outcome?.kind !== 'granted') continue;
      seat?.confirm(mode, id, outcome);
      this.answered.push(call);
    }
    this.calls = this.calls.filter(({ outcome }) => outcome === null);
    this.answered.splice(0, Math.max(0, this.answered.length - ANSWERED_MAX));
  }

  /** Publishes on a channel, or stands by to. */
  async publish(lock: LockUnderTest, ttlMs: number): Promise<void> {
    const { core, session } = this;
    const { nowNs } = this.#world;
    let call: Call | null = null;
    const events = {
      opened: (_channel: unknown, { attachment, ticket }: Attached): void => {
        claimTicket(core, session, ticket.bytes);
        const seat = this.#sit(lock, attachment);
        const cancel = new AbortController();
        const id = makeHoldId(seat.participant << 32n, 1);
        call = { id, mode: 'exclusive', lock, seat, cancel, waitUntilNs: 0n, outcome: null };
      },
      queued: () => undefined,
      promoted: ({ fencingToken, previousOwnerDied }: Promotion): void => {
        const dirty = previousOwnerDied ? lock.words.lock.dirty : 0n;
        if (call !== null) call.outcome = { kind: 'granted', fencingToken, dirty };
      },
      ended: (why: LeaseholdError | null): void => {
        const code = why === null || why.code === 'UNAUTHENTICATED' ? 'LEASE_LOST' : why.code;
        if (call !== null) call.outcome ??= { kind: 'failed', code };
      },
    };
    try {
      openPublisher(core, session, { name: lock.name, failIfHeld: false, ttlMs }, events);
    } catch (error) {
      this.#expectCode(error, ['PARTICIPANTS_EXHAUSTED']);
      return;
    }
    await settled();
    const opened = call as Call | null;
    if (opened === null) return this.#world.fail(`${lock.name}: a publisher was not opened`);
    const ttlNs = BigInt(grantedTtlMs(core.limits, ttlMs)) * NS_PER_MS;
    lock.model.request({ id: opened.id, mode: 'exclusive', ttlNs }, nowNs);
    lock.pending.set(opened.id, opened);
    this.calls.push(opened);
  }

  release(lock: LockUnderTest, id: bigint, markClean: boolean): void {
    const { model, mapping } = lock;
    try {
      const outcome = releaseLease(this.core, this.session, { mappingId: mapping.id, holdId: id }, { markClean });
      if (markClean && model.writer?.id === id) model.markClean(model.dirty);
      const should = model.cancel(id, this.#world.nowNs);
      this.#world.expect(outcome === should, () => `${lock.name}: released ${outcome}, should be ${should}`);
      if (should === 'dropped') model.answers.set(id, { kind: 'taken-back' });
    } catch (error) {
      this.#expectCode(error, ['LEASE_NOT_FOUND']);
      this.#world.expect(model.holdOf(id) === null, () => `${lock.name}: the broker does not find ${hex(id)}`);
    }
  }

  renew(lock: LockUnderTest, id: bigint, ttlMs: number): void {
    const { model, mapping } = lock;
    const hold = model.holdOf(id);
    try {
      const view = renewLease(this.core, this.session, { mappingId: mapping.id, holdId: id }, ttlMs);
      this.#world.expect(hold !== null, () => `${lock.name}: renewed ${hex(id)}, which is lost`);
      if (hold !== null) hold.deadlineNs = view.hold.deadlineNs;
    } catch (error) {
      this.#expectCode(error, ['LEASE_NOT_FOUND', 'LEASE_LOST']);
      this.#world.expect(hold === null, () => `${lock.name}: could not renew ${hex(id)}, which is held`);
    }
  }

  /** The process no longer touches what this seat had, and says so. */
  detach(seat: LeaseSeat): void {
    const { lock, attachment, participant } = seat;
    const active = attachment.active;
    detachMapping(this.core, this.session, attachment.id);
    if (active) lock.model.end(participant, null, this.#world.nowNs);
    this.#vacated(lock, participant);
    this.seats.splice(this.seats.indexOf(seat), 1);
  }
  #vacated(lock: LockUnderTest, participant: bigint): void {
    lock.model.end(participant, 'OWNER_DIED', this.#world.nowNs);
    lock.forget(participant);
  }

  /** Its rights are over. `acknowledged`: the process has said that it touches nothing any more; else it goes on as long as it runs. */
  async end(acknowledged: boolean): Promise<void> {
    const attachments = [...this.session.attachments.values()];
    const active = new Set(attachments.filter((attachment) => attachment.active));
    this.core.endSession(this.session, acknowledged);
    for (const attachment of attachments) this.#world.lockOf(attachment.mapping)?.model.drop(participantIn(attachment));
    for (const attachment of attachments) {
      const lock = this.#world.lockOf(attachment.mapping);
      if (lock === null) continue;
      const participant = participantIn(attachment);
      const proxy = attachment.part.kind === 'proxy';
      const reason = acknowledged && !proxy ? null : 'OWNER_DIED';
      if (active.has(attachment)) lock.model.end(participant, reason, this.#world.nowNs);
      if (acknowledged || proxy) this.#vacated(lock, participant);
    }
    if (acknowledged) this.#stop();
    await settled();
  }

  /** Its process is no more. The broker, if it knows it, has ended its session before. */
  exit(): void {
    const world = this.#world;
    const known = world.core === this.core;
    if (known) this.core.processGone(this.session);
    for (const { lock, participant, attachment } of this.seats) {
      if (known) this.#vacated(lock, participant);
      else world.lockOn(lock.words)?.leaveRetired(attachment.place, participant);
    }
    this.#stop();
  }
  #stop(): void {
    this.running = false;
    this.seats.length = 0;
  }

  /** Its broker is gone: what it was asked is never answered. */
  loseBroker(): void {
    this.calls = [];
    this.answered.length = 0;
  }
}

const participantIn = ({ place }: Attachment): bigint => participantOf(holderBase(place.index, place.generation));
