/**
 * Who publishes on a channel, and who would be next: requests for the exclusive lease of the channel's mapping, in the order of coming.
 * Invariants: at most one is promoted; who came first asks first, whoever is ready first; when a publisher leaves, every doorbell rings.
 */
import type { LeaseholdError } from '@leasehold/proto';
import { holderBase, type LockGrant, makeHoldId } from '@leasehold/shm-core/internal';
import type { Attachment } from './attachment.ts';
import type { MappingLock } from './mapping-lock.ts';
import type { MappingMemory } from './ports.ts';

export interface Promotion {
  readonly fencingToken: bigint;
  readonly holdId: bigint;
  /** ns of CLOCK_MONOTONIC. */
  readonly deadlineNs: bigint;
  /** The last publisher was removed without closing: its last frame may be missing. */
  readonly previousOwnerDied: boolean;
}

/** What a publisher in the queue is told. */
export interface PublisherListener {
  /** How many are before it, the publisher included. */
  queued(position: number): void;
  promoted(promotion: Promotion): void;
}

interface Entry {
  readonly attachment: Attachment;
  readonly listener: PublisherListener;
  readonly ttlMs: number;
  /** entered: its page is being made. ready: it can ask. asking: it waits for the lease, or has it. */
  state: 'entered' | 'ready' | 'asking';
  toldPosition: number;
}

export interface PublisherQueuePorts {
  readonly memory: Pick<MappingMemory, 'setPublisherBell'>;
  readonly lock: MappingLock;
  readonly ringEverybody: () => void;
  /** The lease cannot be had: the attachment must end, which removes it from the queue. */
  readonly refused: (attachment: Attachment, why: LeaseholdError) => void;
  readonly onPromoted: (attachment: Attachment, promotion: Promotion) => void;
}

/** A publisher asks once. */
const SERIAL = 1;

export class PublisherQueue {
  readonly #ports: PublisherQueuePorts;
  readonly #queue: Entry[] = [];
  #promoted: { readonly attachment: Attachment; readonly promotion: Promotion } | null = null;

  constructor(ports: PublisherQueuePorts) {
    this.#ports = ports;
  }

  get length(): number {
    return this.#queue.length;
  }
  get promoted(): { readonly attachment: Attachment; readonly promotion: Promotion } | null {
    return this.#promoted;
  }
  /** Those that wait behind the promoted one. */
  get standbys(): number {
    return this.#queue.length - (this.#promoted === null ? 0 : 1);
  }

  /** Takes a place in the order of coming; nothing is told before `ready`. */
  enter(attachment: Attachment, ttlMs: number, listener: PublisherListener): void {
    this.#queue.push({ attachment, listener, ttlMs, state: 'entered', toldPosition: -1 });
  }

  /** The publisher can be promoted. */
  ready(attachment: Attachment): void {
    const entry = this.#queue.find((each) => each.attachment === attachment);
    if (entry === undefined) return;
    entry.state = 'ready';
    this.#goOn();
  }

  /** Its rights are over. */
  leave(attachment: Attachment): void {
    const at = this.#queue.findIndex((each) => each.attachment === attachment);
    if (at < 0) return;
    this.#queue.splice(at, 1);
    if (this.#promoted?.attachment === attachment) {
      this.#promoted = null;
      this.#ports.memory.setPublisherBell(null);
      // Unconditionally: it may have died between clearing somebody's request to be rung and ringing.
      this.#ports.ringEverybody();
    }
    this.#goOn();
  }

  /** Ends everybody in the queue, last first, so that nobody is promoted in between. */
  dissolve(end: (attachment: Attachment) => void): void {
    for (const { attachment } of [...this.#queue].reverse()) end(attachment);
  }

  /** Asks for the lease for all whose turn it is to ask, then tells the others where they stand. */
  #goOn(): void {
    for (const entry of [...this.#queue]) {
      if (entry.state === 'entered') break;
      if (entry.state === 'ready') this.#ask(entry);
    }
    for (const [position, entry] of this.#queue.entries()) {
      if (entry.state === 'entered' || entry.attachment === this.#promoted?.attachment) continue;
      if (entry.toldPosition === position) continue;
      entry.toldPosition = position;
      // Nobody is before the first: the next that it hears is its promotion.
      if (position > 0) entry.listener.queued(position);
    }
  }

  #ask(entry: Entry): void {
    const { attachment, ttlMs } = entry;
    const { index, generation } = attachment.place;
    const id = makeHoldId(holderBase(index, generation), SERIAL);
    entry.state = 'asking';
    this.#ports.lock.request(
      attachment,
      { id, mode: 'exclusive', ttlMs },
      {
        granted: (grant) => this.#promote(entry, id, grant),
        refused: (why) => this.#ports.refused(attachment, why),
      },
    );
  }

  #promote({ attachment, listener }: Entry, holdId: bigint, grant: LockGrant): void {
    const { fencingToken, deadlineNs, dirty } = grant;
    const promotion = { fencingToken, holdId, deadlineNs, previousOwnerDied: dirty !== 0n };
    this.#promoted = { attachment, promotion };
    this.#ports.memory.setPublisherBell(bellOf(attachment));
    this.#ports.onPromoted(attachment, promotion);
    listener.promoted(promotion);
  }
}

function bellOf({ session }: Attachment): Uint8Array {
  if (session.bell === null) throw new Error(`session ${session.id} publishes without a doorbell`);
  return session.bell;
}
