/**
 * Who publishes on a channel, and who would be next. Invariants: at most one is promoted, and only the first of the queue; every
 * promotion has a fencing token and a hold id of its own; when the promoted one leaves, its hold is revoked and every doorbell
 * rings before the next is promoted.
 */
import type { LeaseholdError } from '@leasehold/proto';
import type { Attachment } from './attachment.ts';
import type { FencingTokens } from './fencing-tokens.ts';
import type { MappingMemory } from './ports.ts';

export interface Promotion {
  readonly fencingToken: bigint;
  /** The lock word while this publisher holds the lease: index + 1 (8 bits), generation (24), serial (32). */
  readonly holdId: bigint;
  /** The last publisher did not close: its last frame may be missing. */
  readonly previousOwnerDied: boolean;
}

/** What a publisher in the queue is told. */
export interface PublisherListener {
  /** How many are before it, the publisher included. */
  queued(position: number): void;
  promoted(promotion: Promotion): void;
}

interface Waiting {
  readonly attachment: Attachment;
  readonly listener: PublisherListener;
  /** Whether its page is there and its `opened` was told. */
  ready: boolean;
  toldPosition: number;
}

export interface PublisherQueuePorts {
  readonly memory: MappingMemory;
  readonly tokens: FencingTokens;
  readonly ringEverybody: () => void;
  /** A promotion that failed: the attachment must end, which removes it from the queue. */
  readonly refused: (attachment: Attachment, why: unknown) => void;
  readonly onPromoted: (attachment: Attachment, promotion: Promotion) => void;
}

const SERIAL_MASK = 0xffff_ffffn;

export class PublisherQueue {
  readonly #ports: PublisherQueuePorts;
  readonly #queue: Waiting[] = [];
  #promoted: { readonly attachment: Attachment; readonly promotion: Promotion } | null = null;
  #previousOwnerDied = false;
  #serial = 0n;

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
  enter(attachment: Attachment, listener: PublisherListener): void {
    this.#queue.push({ attachment, listener, ready: false, toldPosition: -1 });
  }

  /** The publisher can be promoted. */
  ready(attachment: Attachment): void {
    const waiting = this.#queue.find((each) => each.attachment === attachment);
    if (waiting === undefined) return;
    waiting.ready = true;
    this.#pump();
  }

  /** `died`: it did not say that it was done. */
  leave(attachment: Attachment, died: boolean): void {
    const at = this.#queue.findIndex((each) => each.attachment === attachment);
    if (at < 0) return;
    this.#queue.splice(at, 1);
    if (this.#promoted?.attachment === attachment) {
      this.#promoted = null;
      this.#previousOwnerDied = died;
      this.#ports.memory.revokePublisher();
      this.#ports.ringEverybody();
    }
    this.#pump();
  }

  /** Promotes the first when nobody is, then tells the others where they stand. */
  #pump(): void {
    const first = this.#queue[0];
    if (first === undefined) return;
    if (this.#promoted === null && first.ready && !this.#promote(first)) return;
    for (const [position, waiting] of this.#queue.entries()) {
      if (!waiting.ready || waiting.attachment === this.#promoted?.attachment) continue;
      if (waiting.toldPosition === position) continue;
      waiting.toldPosition = position;
      waiting.listener.queued(position);
    }
  }

  /** @returns false when it could not be; whoever refused it has pumped on */
  #promote({ attachment, listener }: Waiting): boolean {
    let fencingToken: bigint;
    try {
      fencingToken = this.#ports.tokens.next();
    } catch (error) {
      this.#ports.refused(attachment, error);
      return false;
    }
    this.#serial = (this.#serial + 1n) & SERIAL_MASK;
    const promotion: Promotion = {
      fencingToken,
      holdId: holdIdOf(attachment, this.#serial),
      previousOwnerDied: this.#previousOwnerDied,
    };
    this.#promoted = { attachment, promotion };
    this.#ports.memory.grantPublisher(promotion.holdId, fencingToken, bellOf(attachment));
    this.#ports.onPromoted(attachment, promotion);
    listener.promoted(promotion);
    return true;
  }

  /** Ends everybody in the queue, last first, so that nobody is promoted in between. */
  dissolve(end: (attachment: Attachment, why: LeaseholdError) => void, why: LeaseholdError): void {
    for (const { attachment } of [...this.#queue].reverse()) end(attachment, why);
  }
}

function holdIdOf({ place: { index, generation } }: Attachment, serial: bigint): bigint {
  return (BigInt(index + 1) << 56n) | (BigInt(generation) << 32n) | serial;
}

function bellOf({ session }: Attachment): Uint8Array {
  if (session.bell === null) throw new Error(`session ${session.id} publishes without a doorbell`);
  return session.bell;
}
