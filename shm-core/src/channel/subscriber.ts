/**
 * A subscriber's side of a channel (docs/PROTOCOL.md, "READER ALGORITHM"): pin the next frame, find it, look whether its slot still has it,
 * release. It writes nothing but its own page. No await, no RPC; every loop is bounded by the number of slots.
 */
import { cas32, load32, store32 } from '../layout/control-words.ts';
import { low32 } from '../layout/sequence.ts';
import { PAGE_WORD, type ParticipantPage } from '../mapping/participant-page.ts';
import type { ChannelMemory } from './channel-memory.ts';
import { OwnPins } from './own-pins.ts';
import { RingPlace } from './ring-place.ts';
import { SlotCheck } from './slot-check.ts';
import { lapOf, previousLap, ringLap, ringSlot } from './words.ts';

/** What `take` found when it is not a slot. All are negative. */
export const TakeOutcome = {
  nothing: -1,
  /** The publisher was too fast to be caught within the bound: take again. */
  again: -2,
  /** The stream has ended, and all before its end was taken or lost. */
  ended: -3,
} as const;

export type SubscribeMode = 'latest' | 'queue';

/** Looks that find nothing between two looks at `head`, which the publisher writes for every frame. */
const LOOKS_PER_HEAD = 256;

export interface SubscriberOptions {
  readonly mode: SubscribeMode;
  /** How many frames from before the join the broker granted. */
  readonly history: number;
  /** Frames that may be held at once, as the broker granted. */
  readonly maxPins: number;
  /** Rings whoever publishes now. */
  readonly ringPublisher: () => void;
}

export class ChannelSubscriber {
  readonly #memory: ChannelMemory;
  readonly #page: ParticipantPage;
  readonly #pins: OwnPins;
  readonly #check: SlotCheck;
  readonly #latest: boolean;
  readonly #ringPublisher: () => void;
  /** The frame after the one taken last. */
  readonly #next: RingPlace;
  /**
   * The newest frame when this joined. Until the first frame is taken, those up to here may have gone already: a history is what is
   * still there, so they are not lost.
   */
  readonly #joined: number;
  #settling: boolean;
  #taken = 0;
  #lost = 0;
  #skipped = 0;
  #waits = 0;
  #idleLooks = 0;
  #ended = false;

  constructor(memory: ChannelMemory, page: ParticipantPage, options: SubscriberOptions) {
    this.#memory = memory;
    this.#page = page;
    this.#pins = new OwnPins(page, options.maxPins, memory.geometry.slots);
    this.#check = new SlotCheck(memory, this.#pins);
    this.#latest = options.mode === 'latest';
    this.#ringPublisher = options.ringPublisher;
    this.#settling = options.history > 0;
    // IMPORTANT: it begins where the broker let it in, which is in its page, not at what is the newest by now. A publisher
    // that waited for it (`block`, --await-subscribers) may have published in between, and that is this subscriber's.
    const newest = memory.wholeHead();
    const behind = (low32(newest) - load32(page.words, PAGE_WORD.cursor)) >>> 0;
    this.#next = new RingPlace(memory.geometry.ringEntries, Math.max(newest - behind, 0) + 1);
    this.#joined = this.cursor + options.history;
  }

  /** Sequence of the frame taken last, or where the subscription began. */
  get cursor(): number {
    return this.#next.sequence - 1;
  }
  get taken(): number {
    return this.#taken;
  }
  /** Frames that `queue` did not get because they were overwritten first. */
  get lost(): number {
    return this.#lost;
  }
  /** Frames that `latest` passed over for a newer one. */
  get skipped(): number {
    return this.#skipped;
  }
  /** Frames held now. */
  get pinned(): number {
    return this.#pins.held;
  }
  get ended(): boolean {
    return this.#ended;
  }

  /**
   * Takes the next frame (`queue`) or the newest (`latest`): its slot, pinned, or a `TakeOutcome`. Its sequence is `cursor`. What is
   * held must be fewer frames than were granted.
   */
  take(): number {
    const isWanted = !this.#ended && this.#pins.wants(this.#next.sequence);
    const outcome = isWanted ? this.#takeWanted() : TakeOutcome.again;
    if (outcome >= 0) return this.#count(outcome);
    if (outcome === TakeOutcome.nothing) return outcome;
    return this.#takeAny();
  }

  /** What mostly happens: the frame that was wanted is there, or not yet. `again`: something else, for `#takeAny` to find out. */
  #takeWanted(): number {
    const next = this.#next;
    const entry = load32(this.#memory.ring, next.index);
    const lap = ringLap(entry);
    if (lap === next.lapBefore) return this.#isHeadDue() ? TakeOutcome.again : TakeOutcome.nothing;
    if (lap !== next.lap || (this.#latest && this.#isPublished(next.sequence + 1))) return TakeOutcome.again;
    const slot = ringSlot(entry);
    if (!this.#check.isThere(slot, next.sequence) || this.#check.isEnd(slot)) return TakeOutcome.again;
    return this.#accept(slot, next.sequence);
  }

  #count(slot: number): number {
    this.#settling = false;
    this.#taken += 1;
    this.#idleLooks = 0;
    this.#page.setTaken(this.#taken);
    return slot;
  }

  #takeAny(): number {
    if (this.#ended) return TakeOutcome.ended;
    const outcome = this.#latest ? this.#takeLatest() : this.#takeNext();
    return outcome < 0 ? outcome : this.#count(outcome);
  }

  #takeNext(): number {
    const { geometry, ring } = this.#memory;
    const next = this.#next;
    for (let tries = 0; tries <= geometry.slots + 1; tries += 1) {
      this.#want(next.sequence);
      const entry = load32(ring, next.index);
      if (ringLap(entry) === next.lapBefore) {
        if (!this.#isWholeWrapBehind()) return TakeOutcome.nothing;
        this.#skipTo(next.sequence);
      } else if (ringLap(entry) !== next.lap) {
        this.#skipTo(Math.max(next.sequence, this.#memory.wholeHead() - geometry.ringEntries));
      } else if (!this.#check.isThere(ringSlot(entry), next.sequence)) {
        this.#skipTo(next.sequence);
      } else if (!this.#check.isEnd(ringSlot(entry))) {
        return this.#accept(ringSlot(entry), next.sequence);
      } else if (!this.#passOldEnd(next.sequence)) {
        return this.#end(next.sequence);
      }
    }
    return TakeOutcome.again;
  }

  /** `head` is on a line that the publisher writes for every frame: it is looked at now and then, and by who is about to sleep. */
  #isHeadDue(): boolean {
    this.#idleLooks += 1;
    return this.#waits > 0 || this.#idleLooks % LOOKS_PER_HEAD === 0;
  }

  /** Nothing seems to have been published as the next frame: whether that is because the laps have wrapped all the way round. */
  #isWholeWrapBehind(): boolean {
    const next = this.#next;
    if (((this.#memory.loadHead() - low32(next.sequence)) | 0) < 0) return false;
    // The head is ahead. Either the frame was published just now, or it is so.
    return ringLap(load32(this.#memory.ring, next.index)) === next.lapBefore;
  }

  /** Passes an end mark; true when it is one in the history, after which another publisher went on. */
  #passOldEnd(sequence: number): boolean {
    if (sequence > this.#joined || this.#memory.wholeHead() <= sequence) return false;
    this.#next.moveTo(sequence + 1);
    return true;
  }

  #takeLatest(): number {
    const next = this.#next;
    for (let tries = 0; tries <= this.#memory.geometry.slots + 1; tries += 1) {
      this.#want(next.sequence);
      const isNew = ringLap(load32(this.#memory.ring, next.index)) !== next.lapBefore;
      if (!isNew && !this.#isWholeWrapBehind()) return TakeOutcome.nothing;
      const outcome = this.#takeNewest(Math.max(next.sequence, this.#memory.wholeHead()));
      if (outcome !== TakeOutcome.again) return outcome;
    }
    return TakeOutcome.again;
  }

  /** Whether the ring has frame `sequence`, or a later one in its place. */
  #isPublished(sequence: number): boolean {
    const { geometry, ring } = this.#memory;
    const entry = load32(ring, this.#memory.ringIndex(sequence));
    return ringLap(entry) !== previousLap(lapOf(sequence, geometry.ringEntries));
  }

  #takeNewest(newest: number): number {
    const { geometry, ring } = this.#memory;
    this.#want(newest);
    const entry = load32(ring, this.#memory.ringIndex(newest));
    if (ringLap(entry) !== lapOf(newest, geometry.ringEntries)) return TakeOutcome.again;
    const slot = ringSlot(entry);
    if (!this.#check.isThere(slot, newest)) {
      // Overwritten, and nothing newer yet: whoever overwrites it will ring.
      return this.#memory.loadHead() === low32(newest) ? TakeOutcome.nothing : TakeOutcome.again;
    }
    return this.#check.isEnd(slot) ? this.#takeBeforeEnd(newest) : this.#accept(slot, newest);
  }

  /** The newest is the end mark: the last picture before it, and before any mark just before it, is still worth showing, once. */
  #takeBeforeEnd(end: number): number {
    const { geometry, ring } = this.#memory;
    const oldest = Math.max(this.cursor, end - 1 - geometry.slots);
    let marks = 1;
    for (let last = end - 1; last > oldest; last -= 1) {
      this.#want(last);
      const entry = load32(ring, this.#memory.ringIndex(last));
      const there = ringLap(entry) === lapOf(last, geometry.ringEntries) && this.#check.isThere(ringSlot(entry), last);
      if (there && !this.#check.isEnd(ringSlot(entry))) return this.#accept(ringSlot(entry), last);
      if (!there) break;
      marks += 1;
    }
    this.#skipTo(Math.max(end - marks, this.cursor));
    return this.#end(end);
  }

  /** The slot holds frame `sequence`, which is pinned: ours. */
  #accept(slot: number, sequence: number): number {
    if (sequence !== this.#next.sequence) this.#skipTo(sequence - 1);
    this.#next.moveOn();
    this.#pins.keep(slot);
    return slot;
  }

  /**
   * The channel is gone. True when its last stream was finished, which this subscriber may have joined too late to see: then it has
   * ended here too.
   */
  endWithChannel(): boolean {
    if (!this.#memory.lock.finished) return this.#ended;
    this.#ended = true;
    return true;
  }

  #end(sequence: number): number {
    this.#next.moveTo(sequence + 1);
    this.#ended = true;
    this.#pins.wantNothing();
    this.#announceCursor();
    return TakeOutcome.ended;
  }

  /** Every frame up to `sequence` that was not taken is passed over or lost, or, in a history not yet begun, never was. */
  #skipTo(sequence: number): void {
    const from = this.#settling ? Math.max(this.cursor, this.#joined) : this.cursor;
    const missed = Math.max(0, sequence - from);
    this.#next.moveTo(sequence + 1);
    if (this.#latest) {
      this.#skipped += missed;
    } else {
      this.#lost += missed;
      this.#page.setLost(this.#lost);
    }
    this.#announceCursor();
  }

  /** Pins frame `sequence`, before anything is known of it, and no longer what was wanted before. */
  #want(sequence: number): void {
    if (this.#pins.want(sequence)) this.#wakePublisher();
  }

  /** Lets a taken slot go. Its bytes must be detached before. */
  release(slot: number): void {
    this.#pins.release(slot, this.cursor);
    // With the same store it wants the frame after it: that will never be taken here.
    if (this.#ended) this.#pins.wantNothing();
    this.#wakePublisher();
  }

  /** A `block` publisher may be waiting for what was just stored. */
  #wakePublisher(): void {
    if (!this.#memory.geometry.block) return;
    const words = this.#page.words;
    if (load32(words, PAGE_WORD.publisherArmed) !== 1) return;
    if (cas32(words, PAGE_WORD.publisherArmed, 1, 0)) this.#ringPublisher();
  }

  #announceCursor(): void {
    store32(this.#page.words, PAGE_WORD.cursor, low32(this.cursor));
    this.#wakePublisher();
  }

  /** Asks to be rung at the next frame. Call `take` again after it, and wait only if there is still nothing; then `disarm`. */
  arm(): void {
    this.#waits += 1;
    store32(this.#page.words, PAGE_WORD.armed, 1);
  }
  /** Ends one wait. The last one takes the request back. */
  disarm(): void {
    this.#waits -= 1;
    if (this.#waits === 0) store32(this.#page.words, PAGE_WORD.armed, 0);
  }
}
