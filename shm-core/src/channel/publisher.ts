/**
 * The publisher's side of a channel (docs/PROTOCOL.md, "WRITER ALGORITHM"): take over, loan, publish, give back, wake, wait.
 * No await, no RPC; every loop is bounded by the number of slots or participants. Safe against any number of predecessors that
 * lost their lease and still run: a slot changes hands only by compare-exchange from the value that was seen, and a sequence
 * belongs to whoever wins its ring entry.
 */
import { add32, cas32, load32, peek32, store32, storeAhead32 } from '../layout/control-words.ts';
import { FrameFlags, USER_METADATA_BYTES } from '../layout/regions.ts';
import { eraOf, low32, SEQUENCE_LIMIT } from '../layout/sequence.ts';
import { CorruptMemoryError } from '../mapping/corrupt-memory.ts';
import { LOCK_WORD } from '../mapping/lock-segment.ts';
import { PAGE_WORD } from '../mapping/participant-page.ts';
import type { ParticipantPages } from '../mapping/participant-pages.ts';
import type { ChannelMemory } from './channel-memory.ts';
import { type FrameFields, NO_FIELDS, writeDescriptor, writePublishedNs, writeSequence } from './descriptor.ts';
import { HeldLease, type PublisherLease } from './held-lease.ts';
import { RingPlace } from './ring-place.ts';
import { LoanRefusal, SlotMarks } from './slot-marks.ts';
import { type SlowReader, SlowReaders } from './slow-readers.ts';
import { lapOf, publishedWord, ringLap, ringSlot, ringWord, writingWord } from './words.ts';

export type { PublisherLease } from './held-lease.ts';
export { LoanRefusal } from './slot-marks.ts';

const PUBLISHED = 0;
const BEATEN = 1;
const LOST = 2;

export interface PublisherIdentity {
  readonly index: number;
  readonly generation: number;
}

export class ChannelPublisher {
  readonly #memory: ChannelMemory;
  readonly #pages: ParticipantPages;
  readonly #lease: HeldLease;
  readonly #marks: SlotMarks;
  readonly #readers: SlowReaders;
  readonly #writing: number;
  readonly #nowNs: () => number;
  /** What every descriptor says beside its fields. */
  readonly #stamp = { payloadBytes: 0, flags: 0, tokenLow: 0, tokenHigh: 0, publishedNs: 0 };
  /** The next frame. */
  readonly #next: RingPlace;
  /**
   * 1: the descriptor of a slot says of a whole frame without fields what it must, but when it was published. That stands as long as we
   * hold the lease: whoever else could have had the slot since has had its frame refused before it was described.
   */
  readonly #described: Uint8Array;
  #lastSlot = -1;
  #openLoans = 0;
  #batching = false;

  constructor(memory: ChannelMemory, pages: ParticipantPages, identity: PublisherIdentity, nowNs: () => number) {
    this.#memory = memory;
    this.#pages = pages;
    this.#writing = writingWord(identity.index, identity.generation);
    this.#lease = new HeldLease(memory.lock);
    this.#marks = new SlotMarks(memory, pages, this.#lease, this.#writing);
    this.#readers = new SlowReaders(memory.lock, pages);
    this.#nowNs = nowNs;
    this.#next = new RingPlace(memory.geometry.ringEntries, 1);
    this.#described = new Uint8Array(memory.geometry.slots);
  }

  get openLoans(): number {
    return this.#openLoans;
  }
  /** Whether the lease word still names us. */
  get holdsLease(): boolean {
    return this.#lease.isHeld;
  }

  /** Begins to publish after the newest frame of the predecessor, finished or not known to be, and wakes everybody. */
  takeOver(lease: PublisherLease): void {
    const memory = this.#memory;
    this.#lease.take(lease);
    this.#described.fill(0);
    this.#stamp.tokenLow = this.#lease.tokenLow;
    this.#stamp.tokenHigh = this.#lease.tokenHigh;
    const next = this.#next;
    next.moveTo(memory.wholeHead() + 1);
    for (let tries = 0; tries <= memory.geometry.slots; tries += 1) {
      if (ringLap(load32(memory.ring, next.index)) !== next.lap) break;
      memory.advanceHead(next.sequence);
      next.moveOn();
    }
    this.#lastSlot = this.#slotOf(next.sequence - 1);
    memory.raiseEra(eraOf(next.sequence));
    this.#pages.refresh();
    for (const claimed of this.#pages.pages) claimed.ring();
  }

  /** The slot of frame `head`, so that the newest frame is overwritten last. */
  #slotOf(head: number): number {
    const entry = load32(this.#memory.ring, this.#memory.ringIndex(head));
    const slot = ringSlot(entry);
    const there =
      ringLap(entry) === lapOf(head, this.#memory.geometry.ringEntries) && slot < this.#memory.geometry.slots;
    return there ? slot : -1;
  }

  /** A slot to fill, marked as ours, or a `LoanRefusal`. */
  loan(): number {
    const unreadFrom = this.#unreadFrom();
    if (unreadFrom < 0) return unreadFrom;
    const { slots } = this.#memory.geometry;
    let slot = this.#lastSlot;
    for (let tried = 1; tried <= slots; tried += 1) {
      slot = slot + 1 < slots ? slot + 1 : 0;
      if (!this.#marks.mark(slot, this.#next.sequence, unreadFrom)) continue;
      const outcome = this.#confirm(slot);
      if (outcome === LoanRefusal.noSlot) continue;
      if (outcome < 0) return outcome;
      this.#lastSlot = slot;
      this.#openLoans += 1;
      return slot;
    }
    return LoanRefusal.noSlot;
  }

  /**
   * As many slots to fill as there are now, at most `count`, added to `slots`. Marked all before pins are looked at, so that the lines
   * on which subscribers pin are fetched once for all.
   * @returns how many, or a `LoanRefusal` when there is none.
   */
  loanMany(count: number, slots: number[]): number {
    const unreadFrom = this.#unreadFrom();
    if (unreadFrom < 0) return unreadFrom;
    const marked = this.#markMany(Math.min(count, this.#room(unreadFrom)), unreadFrom);
    let refusal: number = LoanRefusal.noSlot;
    let given = 0;
    for (const slot of marked) {
      const outcome = this.#confirm(slot);
      if (outcome < 0) {
        refusal = outcome;
      } else {
        slots.push(slot);
        this.#lastSlot = slot;
        given += 1;
      }
    }
    this.#openLoans += given;
    return given > 0 ? given : refusal;
  }

  #markMany(count: number, unreadFrom: number): number[] {
    const { slots } = this.#memory.geometry;
    const marked: number[] = [];
    for (let tried = 1; tried <= slots && marked.length < count; tried += 1) {
      const slot = (this.#lastSlot + tried) % slots;
      if (this.#marks.mark(slot, this.#next.sequence, unreadFrom)) marked.push(slot);
    }
    return marked;
  }

  #confirm(slot: number): number {
    const outcome = this.#marks.confirm(slot);
    // Whoever wanted the frame in it found it marked, and went to sleep until it would be overwritten: it will not.
    if (outcome < 0) this.wake();
    return outcome;
  }

  /** The oldest frame that somebody still has to read, infinity where nobody counts; or why no slot can be lent now. */
  #unreadFrom(): number {
    if (!this.#lease.isHeld) return LoanRefusal.lost;
    if (!this.#pages.seemCurrent && !this.#pages.refresh()) return this.#marks.pageMissing();
    if (!this.#memory.geometry.block) return Number.POSITIVE_INFINITY;
    const unreadFrom = this.#next.sequence - this.#readers.longestLag(this.#next.sequence - 1);
    return this.#room(unreadFrom) < 1 ? LoanRefusal.subscribersBehind : unreadFrom;
  }

  /** How many slots hold nothing that must still be read. */
  #room(unreadFrom: number): number {
    return unreadFrom - this.#next.sequence - this.#openLoans + this.#memory.geometry.slots;
  }

  /** Gives a loaned slot back unpublished. Its old frame is gone: the slot is free, never again what it was. */
  giveBack(slot: number): void {
    this.#openLoans -= 1;
    this.#marks.free(slot);
  }

  /** Counts a loan as closed without giving its slot back: its memory is out of our hands. */
  abandon(): void {
    this.#openLoans -= 1;
  }

  /**
   * Publishes a loaned slot; the loan is over either way.
   * @returns the sequence, or null when the lease had been lost: the frame was shown to nobody.
   */
  publish(slot: number, payloadBytes: number, fields: FrameFields = NO_FIELDS): number | null {
    const isPlain = fields === NO_FIELDS && payloadBytes === this.#memory.geometry.slotBytes;
    if (!isPlain) this.#checkFrame(payloadBytes, fields);
    if (!this.#mayPublish(slot)) return null;
    if (isPlain && this.#described[slot] === 1) writePublishedNs(this.#memory, slot, this.#stamp.publishedNs);
    else this.#describe(slot, payloadBytes, 0, fields);
    return this.#show(slot);
  }

  /** Publishes the end of the stream in a loaned slot. */
  publishEnd(slot: number): number | null {
    if (!this.#mayPublish(slot)) return null;
    this.#describe(slot, 0, FrameFlags.endOfStream, NO_FIELDS);
    const sequence = this.#show(slot);
    if (sequence === null) return null;
    store32(this.#memory.lock.words, LOCK_WORD.endedAt, low32(sequence));
    add32(this.#memory.lock.words, LOCK_WORD.endMarks, 1);
    return sequence;
  }

  /** What `publishAll` publishes has one time stamp, and wakes who sleeps once, at its end. It must not wait. */
  batch(publishAll: () => void): void {
    this.#stamp.publishedNs = this.#nowNs();
    this.#batching = true;
    try {
      publishAll();
    } finally {
      this.#batching = false;
      this.wake();
    }
  }

  #checkFrame(payloadBytes: number, { metadata }: FrameFields): void {
    const { slotBytes } = this.#memory.geometry;
    if (!Number.isInteger(payloadBytes) || payloadBytes < 0 || payloadBytes > slotBytes) {
      throw new RangeError(`payloadBytes must be 0 to ${slotBytes}, not ${payloadBytes}`);
    }
    if (metadata !== null && metadata.length > USER_METADATA_BYTES) {
      throw new RangeError(`metadata is ${metadata.length} B, at most ${USER_METADATA_BYTES} fit`);
    }
  }

  /** Looks at the clock, when the lease is ours; gives the slot back otherwise. */
  #mayPublish(slot: number): boolean {
    if (this.#lease.isHeld) {
      if (!this.#batching) this.#stamp.publishedNs = this.#nowNs();
      return true;
    }
    this.giveBack(slot);
    return false;
  }

  #describe(slot: number, payloadBytes: number, flags: number, fields: FrameFields): void {
    const stamp = this.#stamp;
    stamp.payloadBytes = payloadBytes;
    stamp.flags = flags;
    // Not before it says all: what cannot be written, as metadata that was transferred, throws in the middle of it.
    this.#described[slot] = 0;
    writeDescriptor(this.#memory, slot, stamp, fields);
    const isPlain = fields === NO_FIELDS && payloadBytes === this.#memory.geometry.slotBytes && flags === 0;
    if (isPlain) this.#described[slot] = 1;
  }

  /** Publishes a slot that is described. Null when it is not ours any more. */
  #show(slot: number): number | null {
    this.#openLoans -= 1;
    const { sequence } = this.#next;
    if (this.#offer(slot) !== PUBLISHED) return this.#showLater(slot);
    this.#shown();
    return sequence;
  }

  /** A late predecessor has had the number, or the slot is not ours any more. */
  #showLater(slot: number): number | null {
    const memory = this.#memory;
    const next = this.#next;
    for (let tries = 0; tries <= memory.geometry.slots; tries += 1) {
      const outcome = this.#offer(slot);
      if (outcome === LOST) return null;
      if (outcome === PUBLISHED) {
        this.#shown();
        return next.sequence - 1;
      }
      if (!this.#lease.isHeld) {
        this.#marks.free(slot);
        return null;
      }
      memory.advanceHead(next.sequence);
      next.moveOn();
    }
    this.#marks.free(slot);
    throw new CorruptMemoryError('ring: more frames were published by predecessors than the channel has slots');
  }

  /** The next frame is in the ring. */
  #shown(): void {
    this.#memory.advanceHead(this.#next.sequence);
    this.#next.moveOn();
    if (!this.#batching) this.wake();
  }

  /** Offers the slot as the next frame. BEATEN: a late predecessor published that number; the slot is still ours. */
  #offer(slot: number): number {
    const memory = this.#memory;
    const { descriptors, ring } = memory;
    const { sequence, index, lap, lapBefore } = this.#next;
    if (low32(sequence) << 1 === 0) this.#beginEra(slot);
    const at = memory.stateAt(slot);
    if (peek32(descriptors, at) !== this.#writing) return LOST;
    const entry = peek32(ring, index);
    if (ringLap(entry) !== lapBefore) return BEATEN;
    const published = publishedWord(sequence);
    writeSequence(memory, slot, sequence);
    // A plain store will do: nobody else changes the state of a slot that is WRITING while its owner lives.
    storeAhead32(descriptors, at, published);
    // IMPORTANT: the ring entry decides. Whoever moves it from the lap before owns the number; a predecessor that lost its lease
    // and comes late finds another lap there, and its frame is shown to nobody.
    if (cas32(ring, index, entry, ringWord(lap, slot))) return PUBLISHED;
    return cas32(descriptors, at, published, this.#writing) ? BEATEN : LOST;
  }

  /** @throws CorruptMemoryError when there are no more numbers. */
  #beginEra(slot: number): void {
    const { sequence } = this.#next;
    if (sequence >= SEQUENCE_LIMIT) {
      this.#marks.free(slot);
      throw new CorruptMemoryError(`sequence ${sequence} is past the limit`);
    }
    this.#memory.raiseEra(eraOf(sequence));
  }

  /**
   * Rings every subscriber that sleeps. IMPORTANT: clear first, ring second, or a ring between the two is lost. `refresh` has loaded
   * `membership` by `Atomics` since the frame was in the ring: the plain look at `armed` is not older than that.
   */
  wake(): void {
    this.#pages.refresh();
    for (const claimed of this.#pages.pages) {
      const { words } = claimed.page;
      if (peek32(words, PAGE_WORD.armed) !== 1) continue;
      if (cas32(words, PAGE_WORD.armed, 1, 0)) claimed.ring();
    }
  }

  /**
   * Asks every subscriber to ring when it has read or let go. Call `loan` again after it, and wait only if that is refused and `armed`
   * still holds. Nothing is ever disarmed: a request too many costs one ring, one taken away from another wait, or from a successor,
   * would cost that one a second.
   */
  arm(): void {
    this.#readers.arm();
  }
  /** Whether everybody who takes part, as far as is known, has been asked. */
  get armed(): boolean {
    return this.#readers.armed;
  }
  /** Participants that hold up a `block` publisher now, slowest first. */
  slowest(): SlowReader[] {
    return this.#readers.list(this.#next.sequence - 1);
  }
}
