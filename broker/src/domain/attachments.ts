/**
 * How sessions join mappings and leave them. Invariants: a place is handed on only when its process cannot touch the memory any
 * more; a publisher's or subscriber's end is always rung out, so that whoever waits for it looks again; no step here waits but the
 * making of a participant page, and whatever happens meanwhile is honoured when it is there.
 */
import { LeaseholdError } from '@leasehold/proto';
import type { Access, RemovalReason } from '@leasehold/shm-core/internal';
import { Attachment, type Part } from './attachment.ts';
import type { Limits } from './limits.ts';
import { memoryError } from './memory-error.ts';
import type { OwnedMapping } from './owned-mapping.ts';
import type { Ports } from './ports.ts';
import { QuotaExceeded, type Quotas, type Taken } from './quotas.ts';
import type { Session } from './session.ts';
import { type Ticket, Tickets } from './tickets.ts';

export interface AttachmentsOptions {
  readonly ports: Ports;
  readonly limits: Limits;
  readonly quota: Quotas;
  /** Somebody joined, or somebody's rights ended. */
  readonly onChanged: (mapping: OwnedMapping) => void;
  /** A place became free. */
  readonly onGone: (mapping: OwnedMapping, session: Session) => void;
}

export class Attachments {
  readonly tickets: Tickets;
  readonly #options: AttachmentsOptions;
  #lastId = 0n;
  #frozen = false;

  constructor(options: AttachmentsOptions) {
    this.#options = options;
    const { clock, entropy } = options.ports;
    this.tickets = new Tickets({
      clock,
      entropy,
      ttlMs: options.limits.ticketTtlMs,
      onExpired: (attachment) => this.end(attachment, expired(options.limits.ticketTtlMs)),
    });
  }

  /**
   * Takes a place, at once; `complete` makes it usable.
   * @throws {LeaseholdError} INVALID_STATE, PARTICIPANTS_EXHAUSTED, QUOTA_EXCEEDED
   */
  begin(session: Session, mapping: OwnedMapping, access: Access, part: Part): Attachment {
    if (session.bell === null && part.kind !== 'proxy') {
      throw new LeaseholdError(
        'INVALID_STATE',
        'This session was opened over gRPC and cannot map memory; open one on the attach socket.',
      );
    }
    const taken = this.#admit(session, part);
    const place = mapping.indices.allocate();
    if (place === null) {
      taken.release();
      const { capacity } = mapping.indices;
      throw new LeaseholdError(
        'PARTICIPANTS_EXHAUSTED',
        `All ${capacity} participant indices of ${JSON.stringify(mapping.name)} are taken, or used up.`,
        { metadata: { name: mapping.name, maxParticipants: String(capacity) } },
      );
    }
    this.#lastId += 1n;
    const attachment = new Attachment(this.#lastId, session, mapping, { place, access, part, taken });
    mapping.members.set(place.index, attachment);
    session.attachments.set(attachment.id, attachment);
    return attachment;
  }

  /** Charged to whoever joins, not to whoever made the mapping. @throws {LeaseholdError} QUOTA_EXCEEDED, with the numbers */
  #admit(session: Session, part: Part): Taken {
    const { limits, quota, ports } = this.#options;
    const limit = limits.attachmentsPerSession;
    const used = session.attachments.size;
    if (used >= limit) {
      throw new QuotaExceeded({ quota: 'participants', whose: `session:${session.id}`, used, limit, requested: 1 });
    }
    return quota.take(session.peer.uid, {
      bytes: ports.memory.basePageBytes,
      participants: 1,
      descriptors: 1,
      // A publisher waits for its channel's lease, or has it. Who leases by RPC is charged for each lease.
      leases: part.kind === 'publisher' ? 1 : 0,
    });
  }

  /** Makes the participant's page, and the ticket for it. @throws as `bringIn` */
  async complete(attachment: Attachment): Promise<Ticket> {
    await this.bringIn(attachment);
    return this.tickets.issue(attachment);
  }

  /** Makes the participant's page. @throws {LeaseholdError} what failed, or why the attachment ended meanwhile; it is gone then */
  async bringIn(attachment: Attachment): Promise<void> {
    const { mapping, place, part, session } = attachment;
    const subscriber = part.kind === 'subscriber' ? part : null;
    const blocking = mapping.channel?.specification.overflow === 'block';
    try {
      attachment.history = await mapping.memory.addParticipant({
        ...place,
        bell: session.bell ?? new Uint8Array(16),
        maxPins: subscriber?.maxPins ?? 0,
        counted: blocking && subscriber?.mode === 'queue',
        history: subscriber?.history ?? 0,
      });
    } catch (error) {
      const why = memoryError(error);
      attachment.pageComing = false;
      this.end(attachment, why);
      this.vacate(attachment);
      throw why;
    }
    attachment.pageComing = false;
    if (attachment.state !== 'joining') {
      this.vacate(attachment);
      throw (
        attachment.endedBecause ?? new LeaseholdError('CLOSED', 'The attachment was ended while it was being made.')
      );
    }
    attachment.state = 'live';
    this.#options.onChanged(mapping);
  }

  /** Its rights are over, at once. `why` null: its owner wished so. */
  end(attachment: Attachment, why: LeaseholdError | null): void {
    if (!attachment.active || this.#frozen) return;
    const { mapping, part, place } = attachment;
    attachment.state = 'ended';
    attachment.endedBecause = why;
    this.tickets.revoke(attachment);
    if (part.kind === 'publisher') mapping.channel?.publishers.leave(attachment);
    if (part.kind === 'proxy') mapping.proxies.forget(attachment);
    mapping.lock.leave(attachment, removalReasonOf(why));
    attachment.taken.settle({ ...attachment.taken.amounts, leases: 0 });
    if (part.kind === 'subscriber') this.stopWaitingFor(mapping, place.index);
    const { onEnd } = attachment;
    attachment.onEnd = null;
    onEnd?.(why);
    if (!attachment.claimed) this.vacate(attachment);
    this.#options.onChanged(mapping);
  }

  /** The process can no longer touch what this participant had: its place is free. Ends it if nobody has. */
  vacate(attachment: Attachment): void {
    if (this.#frozen) return;
    if (attachment.active) this.end(attachment, null);
    // `complete` comes back here when the page is there.
    if (attachment.state === 'gone' || attachment.pageComing) return;
    attachment.state = 'gone';
    const { mapping, place, part, session } = attachment;
    if (part.kind === 'subscriber') mapping.channel?.depart(attachment);
    // It may have taken the lock again in memory after its rights were over.
    mapping.lock.leave(attachment, 'OWNER_DIED');
    try {
      mapping.memory.removeParticipant(place.index);
    } finally {
      mapping.members.delete(place.index);
      mapping.indices.free(place);
      session.attachments.delete(attachment.id);
      attachment.taken.release();
      this.ringPublisher(mapping);
      this.#options.onGone(mapping, session);
    }
  }

  /** The broker ends: from now on nobody joins or leaves, and shared memory stays as it is. */
  freeze(): void {
    this.#frozen = true;
  }

  /** A `block` publisher no longer waits for this subscriber's cursor. */
  stopWaitingFor(mapping: OwnedMapping, index: number): void {
    mapping.memory.stopWaitingFor(index);
    this.ringPublisher(mapping);
  }

  /** Unconditionally: the publisher may have decided to sleep just before something became free. */
  ringPublisher(mapping: OwnedMapping): void {
    const publisher = mapping.channel?.publishers.promoted?.attachment;
    if (publisher !== undefined) this.ring(publisher);
  }

  ringEverybody(mapping: OwnedMapping): void {
    for (const member of mapping.members.values()) this.ring(member);
  }

  ring({ session, mapping, place }: Attachment): void {
    if (session.bell !== null && !session.ended) {
      this.#options.ports.doorbells.ring(session.bell, mapping.id, place.index);
    }
  }
}

const removalReasonOf = (why: LeaseholdError | null): RemovalReason | null => {
  if (why === null) return null;
  return why.code === 'MAPPING_DELETED' ? 'MAPPING_DELETED' : 'OWNER_DIED';
};

function expired(ttlMs: number): LeaseholdError {
  return new LeaseholdError(
    'TICKET_INVALID',
    `The ticket was not claimed within ${ttlMs} ms; the attachment was taken back.`,
  );
}
