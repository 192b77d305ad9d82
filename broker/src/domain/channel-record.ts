/**
 * What makes a mapping a channel: its publishers, the room its subscribers' pins need, and what those that left had counted.
 * Invariant: slots ≥ Σ maxPins of all subscribers that may still hold pins + the publisher's loans + 1, so that no subscriber
 * can starve the publisher.
 */
import { LeaseholdError } from '@leasehold/proto';
import type { Attachment } from './attachment.ts';
import type { OwnedMapping } from './owned-mapping.ts';
import type { PublisherQueue } from './publisher-queue.ts';
import type { ChannelSpecification } from './specification.ts';

export class ChannelRecord {
  readonly specification: ChannelSpecification;
  readonly publishers: PublisherQueue;
  readonly #mapping: OwnedMapping;
  #departedTaken = 0;
  #departedLost = 0;

  constructor(mapping: OwnedMapping, specification: ChannelSpecification, publishers: PublisherQueue) {
    this.#mapping = mapping;
    this.specification = specification;
    this.publishers = publishers;
  }

  /** Sequence of the newest frame, 0 when there was none. */
  get newestSequence(): number {
    return this.sequenceCount === 0 ? 0 : this.#mapping.memory.published;
  }
  /** Sequences used since the channel was created: frames, and ends of streams. */
  get sequenceCount(): number {
    return Math.max(this.#mapping.memory.published - (this.specification.firstSequence - 1), 0);
  }
  /** Frames published since the channel was created. */
  get publishedCount(): number {
    return Math.max(this.sequenceCount - this.#mapping.memory.endMarks, 0);
  }

  /** Whether its last stream was finished, and nobody publishes or is about to. */
  get finished(): boolean {
    return this.publishers.length === 0 && this.#mapping.memory.finished;
  }

  /** Those whose pins count. */
  subscribers(): Attachment[] {
    return [...this.#mapping.members.values()].filter((member) => member.part.kind === 'subscriber');
  }

  /** @throws {LeaseholdError} PINS_EXHAUSTED, with the numbers */
  admitPins(maxPins: number): void {
    const { slots, maxLoans } = this.specification;
    let pinned = 0;
    for (const { part } of this.subscribers()) if (part.kind === 'subscriber') pinned += part.maxPins;
    const needed = pinned + maxPins + maxLoans + 1;
    if (needed <= slots) return;
    throw new LeaseholdError(
      'PINS_EXHAUSTED',
      `${JSON.stringify(this.specification.name)} has ${slots} slots; ${needed} would be needed: ${pinned} for the pins of its ` +
        `subscribers, ${maxPins} for this one's, ${maxLoans} for the publisher's loans, and 1.`,
      {
        metadata: {
          slots: String(slots),
          pinsTaken: String(pinned),
          pinsAsked: String(maxPins),
          maxLoans: String(maxLoans),
          slotsNeeded: String(needed),
        },
      },
    );
  }

  /** Keeps what a subscriber that leaves has counted. */
  depart(subscriber: Attachment): void {
    const counters = this.#mapping.memory.counters(subscriber.place.index);
    this.#departedTaken += counters?.taken ?? 0;
    this.#departedLost += counters?.lost ?? 0;
  }

  totals(): { readonly takenTotal: number; readonly lostTotal: number } {
    let takenTotal = this.#departedTaken;
    let lostTotal = this.#departedLost;
    for (const subscriber of this.subscribers()) {
      const counters = this.#mapping.memory.counters(subscriber.place.index);
      takenTotal += counters?.taken ?? 0;
      lostTotal += counters?.lost ?? 0;
    }
    return { takenTotal, lostTotal };
  }
}
