/**
 * One mapping as the domain knows it: what it was created with, its memory, and who takes part. A condemned mapping has lost its
 * name; its memory stays until nobody can touch it any more.
 */
import { StepQueue } from '@leasehold/shm-core/internal';
import type { Attachment } from './attachment.ts';
import type { ChannelRecord } from './channel-record.ts';
import type { Charge } from './charge.ts';
import type { LeaseProxies } from './lease-proxies.ts';
import type { MappingLock } from './mapping-lock.ts';
import { ParticipantIndices } from './participant-indices.ts';
import type { MappingMemory } from './ports.ts';
import type { Session } from './session.ts';
import type { Specification } from './specification.ts';

export interface MappingParts {
  readonly id: bigint;
  readonly specification: Specification;
  readonly memory: MappingMemory;
  readonly charge: Charge;
  readonly creator: Session;
  readonly createTimeMs: number;
  /** The same on CLOCK_MONOTONIC, ns: nobody sets that one. */
  readonly createdNs: number;
  /** Its fencing tokens are above this one. */
  readonly firstToken: bigint;
}

export class OwnedMapping {
  readonly id: bigint;
  readonly specification: Specification;
  readonly memory: MappingMemory;
  readonly charge: Charge;
  readonly creator: Session;
  readonly createTimeMs: number;
  readonly createdNs: number;
  readonly firstToken: bigint;
  readonly indices: ParticipantIndices;
  /** Sessions that created it or asked for it to be there: it stays as long as any of them. */
  readonly keepers = new Set<Session>();
  /** By participant index, until gone. */
  readonly members = new Map<number, Attachment>();
  /** Set once, right after construction, when this is a channel. */
  channel: ChannelRecord | null = null;
  condemned = false;
  /** Changes of its size, one after the other. */
  readonly resizes = new StepQueue();
  /** Stops what is just being populated to make it larger. */
  growing: AbortController | null = null;
  #locking: { readonly lock: MappingLock; readonly proxies: LeaseProxies } | null = null;

  constructor(parts: MappingParts) {
    this.id = parts.id;
    this.specification = parts.specification;
    this.memory = parts.memory;
    this.charge = parts.charge;
    this.creator = parts.creator;
    this.keep(parts.creator);
    this.createTimeMs = parts.createTimeMs;
    this.createdNs = parts.createdNs;
    this.firstToken = parts.firstToken;
    this.indices = new ParticipantIndices(parts.specification.maxParticipants);
  }

  /** Once, right after construction. */
  setLocking(lock: MappingLock, proxies: LeaseProxies): void {
    this.#locking = { lock, proxies };
  }
  get lock(): MappingLock {
    return this.#lockingSet().lock;
  }
  get proxies(): LeaseProxies {
    return this.#lockingSet().proxies;
  }
  #lockingSet() {
    if (this.#locking === null) throw new Error(`mapping ${this.id} has no lock yet`);
    return this.#locking;
  }

  keep(session: Session): void {
    this.keepers.add(session);
    session.kept.add(this);
  }
  /** Nobody keeps it any more. */
  letGo(): void {
    for (const session of this.keepers) session.kept.delete(this);
    this.keepers.clear();
  }

  get name(): string {
    return this.specification.name;
  }

  /** Attachments whose rights stand. */
  active(): Attachment[] {
    return [...this.members.values()].filter((member) => member.active);
  }

  /** Whether somebody has it attached, leases it or waits for that. */
  get inUse(): boolean {
    return this.active().some((member) => member.part.kind !== 'proxy' || !this.proxies.isIdle(member));
  }

  /** Those that have it mapped. */
  count(access: 'read' | 'write'): number {
    return this.active().filter(({ state, part, access: granted }) => {
      return state === 'live' && part.kind !== 'proxy' && granted === access;
    }).length;
  }
}
