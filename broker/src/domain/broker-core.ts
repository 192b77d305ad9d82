/**
 * The broker's decisions in one object: sessions, names, attachments, publishers, memory. Everything is decided synchronously, in
 * the order it comes; only memory is waited for. Every action of a client is authorised here or in the two files that build on it.
 */
import { LeaseholdError } from '@leasehold/proto';
import type { LockMode, RemovalReason } from '@leasehold/shm-core/internal';
import type { Attachment } from './attachment.ts';
import { Attachments } from './attachments.ts';
import { ChannelRecord } from './channel-record.ts';
import { Charges } from './charge.ts';
import { FencingTokens } from './fencing-tokens.ts';
import { LeaseProxies } from './lease-proxies.ts';
import type { Limits } from './limits.ts';
import { MappingLock } from './mapping-lock.ts';
import type { OwnedMapping } from './owned-mapping.ts';
import { type Action, authorise, type Peer, type Policy } from './policy.ts';
import type { Ports, Timer } from './ports.ts';
import { PublisherQueue } from './publisher-queue.ts';
import { type QuotaLimits, Quotas } from './quotas.ts';
import { Registry } from './registry.ts';
import type { Session } from './session.ts';
import { SessionTable } from './session-table.ts';

/** What is worth a line in the log. */
export interface CoreObserver {
  sessionOpened(session: Session): void;
  sessionEnded(session: Session, acknowledged: boolean): void;
  mappingCreated(mapping: OwnedMapping): void;
  mappingDeleted(mapping: OwnedMapping): void;
  leaseRemoved(mapping: OwnedMapping, hold: { id: bigint; mode: LockMode }, reason: RemovalReason): void;
  publisherPromoted(mapping: OwnedMapping, session: Session, fencingToken: bigint): void;
}

export interface CoreOptions {
  readonly ports: Ports;
  readonly policy: Policy;
  readonly limits: Limits;
  readonly epoch: number;
  readonly quotas: QuotaLimits;
  readonly reserveBytes: number;
  /** Name of the broker's own doorbell, 16 raw bytes: who releases a lock that somebody waits for rings it. */
  readonly brokerBell: Uint8Array;
  readonly observer: CoreObserver;
}

export class BrokerCore {
  readonly epoch: number;
  readonly limits: Limits;
  readonly sessions: SessionTable;
  readonly registry: Registry;
  readonly attachments: Attachments;
  readonly quota: Quotas;
  readonly #policy: Policy;
  readonly #ports: Ports;
  readonly #observer: CoreObserver;
  readonly tokens: FencingTokens;
  readonly #whenEmpty = new Set<() => void>();
  /** Locks that somebody waits for: a ring does not say which it is for. */
  readonly #contended = new Set<MappingLock>();
  #drainDeadlineMs: number | null = null;

  constructor(options: CoreOptions) {
    const { ports, limits, quotas, reserveBytes } = options;
    this.epoch = options.epoch;
    this.limits = limits;
    this.#policy = options.policy;
    this.#ports = ports;
    this.#observer = options.observer;
    this.tokens = new FencingTokens(options.epoch);
    this.quota = new Quotas(quotas);
    this.sessions = new SessionTable(ports, limits, this.quota);
    this.registry = new Registry({
      clock: ports.clock,
      memory: ports.memory,
      charges: new Charges({ quota: this.quota, reserveBytes, headroom: () => ports.memory.headroom() }),
      brokerBell: options.brokerBell,
      beginAfter: () => this.tokens.beginAfter(),
      prepare: (mapping) => this.#prepare(mapping),
    });
    this.attachments = new Attachments({
      ports,
      limits,
      quota: this.quota,
      onChanged: (mapping) => {
        this.registry.changed(mapping);
        this.registry.forgetIfUnused(mapping);
      },
      onGone: (mapping, session) => {
        this.registry.reclaim(mapping);
        this.sessions.settle(session);
      },
    });
    this.registry.watch((change, mapping) => {
      if (change === 'created') this.#observer.mappingCreated(mapping);
      if (change !== 'deleted') return;
      this.#observer.mappingDeleted(mapping);
      const lifeMs = (ports.clock.nowNs() - mapping.createdNs) / 1e6;
      this.tokens.retire(mapping.firstToken, mapping.lock.close(), lifeMs);
      mapping.proxies.vacateIdle();
      this.attachments.ringEverybody(mapping);
    });
  }

  /** @throws {LeaseholdError} PERMISSION_DENIED */
  authorise(peer: Peer, action: Action, name?: string): void {
    authorise(this.#policy, peer, action, name);
  }
  /** For lists: leaves out what the caller may not know about. */
  maySee(peer: Peer, name: string): boolean {
    return this.#policy(peer, 'info', name).allowed;
  }

  /** Memory of the machine that was promised and is not populated yet, B. */
  get unpopulatedBytes(): number {
    return this.#ports.memory.unpopulatedBytes;
  }

  /** Runs `action` once, later. */
  after(delayMs: number, action: () => void): Timer {
    return this.#ports.clock.after(delayMs, action);
  }

  /** Somebody has released a lock that others wait for. */
  lockReleased(): void {
    for (const lock of [...this.#contended]) lock.pump();
  }

  get draining(): boolean {
    return this.#drainDeadlineMs !== null;
  }
  /** @throws {LeaseholdError} DRAINING */
  requireNotDraining(): void {
    if (this.draining) throw new LeaseholdError('DRAINING', 'The broker is shutting down and takes nothing new.');
  }

  /** @throws {LeaseholdError} DRAINING, PERMISSION_DENIED, TOO_MANY_SESSIONS, QUOTA_EXCEEDED, INVALID_ARGUMENT */
  openSession(peer: Peer, name: string, bell: Uint8Array | null): { session: Session; token: Uint8Array } {
    this.requireNotDraining();
    this.authorise(peer, 'connect');
    const opened = this.sessions.open(peer, name, bell);
    this.#observer.sessionOpened(opened.session);
    return opened;
  }

  /**
   * The session is over, and so are all its rights. `acknowledged`: its process has said that it touches nothing any more; else
   * what it had is handed on when `processGone` says so.
   */
  endSession(session: Session, acknowledged: boolean): void {
    if (!this.sessions.end(session)) return;
    const why = new LeaseholdError('UNAUTHENTICATED', 'The session is over.');
    for (const attachment of [...session.attachments.values()]) {
      this.attachments.end(attachment, acknowledged ? null : why);
      if (acknowledged) this.attachments.vacate(attachment);
    }
    for (const mapping of [...session.kept]) {
      mapping.keepers.delete(session);
      this.registry.forgetIfUnused(mapping);
    }
    session.kept.clear();
    session.announceEnd();
    this.sessions.settle(session);
    this.#observer.sessionEnded(session, acknowledged);
    if (this.sessions.count === 0) for (const wake of [...this.#whenEmpty]) wake();
  }

  /** The process of an ended session is gone: whatever it had is free. */
  processGone(session: Session): void {
    for (const attachment of [...session.attachments.values()]) this.attachments.vacate(attachment);
  }

  /** The caller's process no longer touches what this participant had; a message about nobody is ignored. */
  acknowledge(session: Session, mappingId: bigint, index: number, generation: number): void {
    const member = this.registry.byId(mappingId)?.members.get(index);
    if (member?.session === session && member.place.generation === generation) this.attachments.vacate(member);
  }

  /** Takes the name away and tells everybody concerned. */
  deleteMapping(mapping: OwnedMapping): void {
    const gone = new LeaseholdError('MAPPING_DELETED', `${JSON.stringify(mapping.name)} was deleted.`, {
      metadata: { name: mapping.name },
    });
    const told = new Set(mapping.active().map((member) => member.session));
    this.registry.condemn(mapping);
    mapping.channel?.publishers.dissolve((attachment) => this.attachments.end(attachment, gone));
    for (const session of told) session.notify({ kind: 'mapping-deleted', name: mapping.name, mappingId: mapping.id });
  }

  /** Nothing new from now on; every session is told. @returns when no session is left, or `drainMs` are over */
  drain(drainMs: number): Promise<void> {
    const deadlineMs = this.#ports.clock.nowMs() + drainMs;
    this.#drainDeadlineMs = Math.min(this.#drainDeadlineMs ?? deadlineMs, deadlineMs);
    for (const session of this.sessions.living()) session.notify({ kind: 'draining', deadlineMs });
    if (this.sessions.count === 0) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = this.#ports.clock.after(drainMs, () => done());
      const done = () => {
        timer.cancel();
        this.#whenEmpty.delete(done);
        resolve();
      };
      this.#whenEmpty.add(done);
    });
  }

  /**
   * The broker ends, whoever still uses something. What it holds is given back; what is in shared memory stays as it is, so that
   * those who have it mapped go on.
   */
  close(): void {
    this.attachments.freeze();
    for (const session of this.sessions.living()) {
      this.sessions.end(session);
      session.announceEnd();
      this.#observer.sessionEnded(session, false);
    }
    this.registry.close();
  }

  #prepare(mapping: OwnedMapping): void {
    const { specification } = mapping;
    const lock = new MappingLock({
      name: mapping.name,
      memory: mapping.memory,
      members: mapping.members,
      clock: this.#ports.clock,
      tokenLimit: this.tokens.limit,
      firstToken: mapping.firstToken,
      onRemoved: (hold, reason, owner) => this.#leaseRemoved(mapping, hold, reason, owner),
      onContended: (contended) => void (contended ? this.#contended.add(lock) : this.#contended.delete(lock)),
    });
    mapping.setLocking(lock, new LeaseProxies(this.attachments, this.quota));
    if (specification.kind !== 'channel') return;
    const publishers = new PublisherQueue({
      memory: mapping.memory,
      lock,
      ringEverybody: () => this.attachments.ringEverybody(mapping),
      refused: (attachment, why) => this.attachments.end(attachment, why),
      onPromoted: ({ session }, { fencingToken }) => this.#observer.publisherPromoted(mapping, session, fencingToken),
    });
    mapping.channel = new ChannelRecord(mapping, specification, publishers);
  }

  /** Its owner is told; a publisher's end is that of its place. */
  #leaseRemoved(
    mapping: OwnedMapping,
    hold: { id: bigint; mode: LockMode },
    reason: RemovalReason,
    owner: Attachment | null,
  ): void {
    this.#observer.leaseRemoved(mapping, hold, reason);
    if (owner === null) return;
    owner.lostHold = hold.id;
    const { name, id: mappingId } = mapping;
    owner.session.notify({ kind: 'lease-lost', name, mappingId, holdId: hold.id, mode: hold.mode, reason });
    this.attachments.ring(owner);
    if (owner.part.kind === 'proxy') {
      mapping.proxies.giveBack(owner, hold.id);
      this.registry.forgetIfUnused(mapping);
    }
    if (owner.part.kind === 'publisher') this.attachments.end(owner, leaseLost(mapping, reason));
  }
}

const leaseLost = ({ name }: OwnedMapping, reason: RemovalReason): LeaseholdError =>
  reason === 'MAPPING_DELETED'
    ? new LeaseholdError('MAPPING_DELETED', `${JSON.stringify(name)} was deleted.`, { metadata: { name } })
    : new LeaseholdError('LEASE_LOST', `The publisher lease of ${JSON.stringify(name)} was taken away: ${reason}.`, {
        metadata: { name, reason },
      });
