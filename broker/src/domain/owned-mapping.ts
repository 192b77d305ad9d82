/**
 * One mapping as the domain knows it: what it was created with, its memory, and who takes part. A condemned mapping has lost its
 * name; its memory stays until nobody can touch it any more.
 */
import type { Attachment } from './attachment.ts';
import type { ChannelRecord } from './channel-record.ts';
import { ParticipantIndices } from './participant-indices.ts';
import type { MappingMemory } from './ports.ts';
import type { Charge } from './quota.ts';
import type { Session } from './session.ts';
import type { Specification } from './specification.ts';

export interface MappingParts {
  readonly id: bigint;
  readonly specification: Specification;
  readonly memory: MappingMemory;
  readonly charge: Charge;
  readonly creator: Session;
  readonly createTimeMs: number;
}

export class OwnedMapping {
  readonly id: bigint;
  readonly specification: Specification;
  readonly memory: MappingMemory;
  readonly charge: Charge;
  readonly creator: Session;
  readonly createTimeMs: number;
  readonly indices: ParticipantIndices;
  /** Sessions that created it or asked for it to be there: it stays as long as any of them. */
  readonly keepers = new Set<Session>();
  /** By participant index, until gone. */
  readonly members = new Map<number, Attachment>();
  /** Set once, right after construction, when this is a channel. */
  channel: ChannelRecord | null = null;
  condemned = false;

  constructor(parts: MappingParts) {
    this.id = parts.id;
    this.specification = parts.specification;
    this.memory = parts.memory;
    this.charge = parts.charge;
    this.creator = parts.creator;
    this.keep(parts.creator);
    this.createTimeMs = parts.createTimeMs;
    this.indices = new ParticipantIndices(parts.specification.maxParticipants);
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

  count(access: 'read' | 'write'): number {
    return this.active().filter((member) => member.state === 'live' && member.access === access).length;
  }
}
