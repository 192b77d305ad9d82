/**
 * A subscriber's side of a channel (docs/PROTOCOL.md, "READER ALGORITHM"): find the next frame, pin its slot, look again, release. It writes
 * nothing but its own page. No await, no RPC; every loop is bounded by the number of slots.
 */
import { cas32, load32, store32 } from '../layout/control-words.ts';
import { FrameFlags } from '../layout/regions.ts';
import { low32 } from '../layout/sequence.ts';
import { PAGE_WORD, type ParticipantPage } from '../mapping/participant-page.ts';
import type { ChannelMemory } from './channel-memory.ts';
import { descriptorFlags, descriptorTokenHigh, descriptorTokenLow, hasSequence } from './descriptor.ts';
import { lapOf, previousLap, publishedWord, ringLap, ringSlot } from './words.ts';

/** What `take` found when it is not a slot. All are negative. */
export const TakeOutcome = {
  nothing: -1,
  /** The publisher was too fast to be caught within the bound: take again. */
  again: -2,
  /** The stream has ended, and all before its end was taken or lost. */
  ended: -3,
} as const;

export type SubscribeMode = 'latest' | 'queue';

const PIN_WORDS = 32;

export class ChannelSubscriber {
  readonly #memory: ChannelMemory;
  readonly #page: ParticipantPage;
  readonly #latest: boolean;
  readonly #ringPublisher: () => void;
  /** What this subscriber has pinned: the page’s pins have no other writer. */
  readonly #pins = new Int32Array(PIN_WORDS);
  #cursor: number;
  /**
   * The newest frame when this joined. Until the first frame is taken, those up to here may have gone already: a history is what is
   * still there, so they are not lost.
   */
  readonly #joined: number;
  #settling: boolean;
  #taken = 0;
  #lost = 0;
  #skipped = 0;
  #pinned = 0;
  #waits = 0;
  #tokenLow = 0;
  #tokenHigh = 0;
  /** Of the frame pinned last, which may be an end mark: its token counts only if the frame is taken. */
  #pinnedTokenLow = 0;
  #pinnedTokenHigh = 0;
  #ended = false;

  /** `history`: how many frames from before the join the broker granted. `ringPublisher` rings whoever publishes now. */
  constructor(
    memory: ChannelMemory,
    page: ParticipantPage,
    options: { mode: SubscribeMode; history: number; ringPublisher: () => void },
  ) {
    this.#memory = memory;
    this.#page = page;
    this.#latest = options.mode === 'latest';
    this.#ringPublisher = options.ringPublisher;
    this.#settling = options.history > 0;
    // IMPORTANT: it begins where the broker let it in, which is in its page, not at what is the newest by now. A publisher
    // that waited for it (`block`, --await-subscribers) may have published in between, and that is this subscriber's.
    const newest = memory.wholeHead();
    const behind = (low32(newest) - load32(page.words, PAGE_WORD.cursor)) >>> 0;
    this.#cursor = Math.max(newest - behind, 0);
    this.#joined = this.#cursor + options.history;
  }

  /** Sequence of the frame taken last, or where the subscription began. */
  get cursor(): number {
    return this.#cursor;
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
    return this.#pinned;
  }
  get ended(): boolean {
    return this.#ended;
  }

  /** Takes the next frame (`queue`) or the newest (`latest`): its slot, pinned, or a `TakeOutcome`. Its sequence is `cursor`. */
  take(): number {
    if (this.#ended) return TakeOutcome.ended;
    const lostBefore = this.#lost;
    const outcome = this.#latest ? this.#takeLatest() : this.#takeNext();
    if (outcome >= 0) {
      this.#settling = false;
      this.#taken += 1;
      this.#page.setTaken(this.#taken);
    }
    if (this.#lost !== lostBefore) this.#page.setLost(this.#lost);
    return outcome;
  }

  #takeNext(): number {
    const { geometry, ring } = this.#memory;
    for (let tries = 0; tries <= geometry.slots + 1; tries += 1) {
      const next = this.#cursor + 1;
      const lap = lapOf(next, geometry.ringEntries);
      const index = this.#memory.ringIndex(next);
      const entry = load32(ring, index);
      if (ringLap(entry) === previousLap(lap)) {
        if (((this.#memory.loadHead() - low32(this.#cursor)) | 0) <= 0) return TakeOutcome.nothing;
        // The head is ahead. Either it was published just now, or the laps have wrapped all the way round.
        if (ringLap(load32(ring, index)) === previousLap(lap)) this.#skipTo(next);
      } else if (ringLap(entry) !== lap) {
        this.#skipTo(Math.max(next, this.#memory.wholeHead() - geometry.ringEntries));
      } else if (!this.#pin(ringSlot(entry), next)) {
        this.#skipTo(next);
      } else if (!this.#isEnd(ringSlot(entry))) {
        return this.#accept(ringSlot(entry), next);
      } else if (!this.#passOldEnd(ringSlot(entry), next)) {
        return this.#end(next);
      }
    }
    return TakeOutcome.again;
  }

  /** Unpins an end mark; true when it is one in the history, after which another publisher went on. */
  #passOldEnd(slot: number, sequence: number): boolean {
    this.#unpin(slot);
    if (sequence > this.#joined || this.#memory.wholeHead() <= sequence) return false;
    this.#cursor = sequence;
    return true;
  }

  #takeLatest(): number {
    const { geometry, ring } = this.#memory;
    for (let tries = 0; tries <= geometry.slots + 1; tries += 1) {
      const newest = this.#memory.loadHead() === low32(this.#cursor) ? this.#cursor : this.#memory.wholeHead();
      if (newest <= this.#cursor) return TakeOutcome.nothing;
      const entry = load32(ring, this.#memory.ringIndex(newest));
      if (ringLap(entry) !== lapOf(newest, geometry.ringEntries)) continue;
      const slot = ringSlot(entry);
      if (!this.#pin(slot, newest)) {
        // Overwritten, and nothing newer yet: whoever overwrites it will ring.
        if (this.#memory.loadHead() === low32(newest)) return TakeOutcome.nothing;
        continue;
      }
      if (!this.#isEnd(slot)) return this.#accept(slot, newest);
      this.#unpin(slot);
      return this.#takeBeforeEnd(newest);
    }
    return TakeOutcome.again;
  }

  /** The newest is the end mark: the last picture before it, and before any mark just before it, is still worth showing, once. */
  #takeBeforeEnd(end: number): number {
    const { geometry, ring } = this.#memory;
    const oldest = Math.max(this.#cursor, end - 1 - geometry.slots);
    let marks = 1;
    for (let last = end - 1; last > oldest; last -= 1) {
      const entry = load32(ring, this.#memory.ringIndex(last));
      const there = ringLap(entry) === lapOf(last, geometry.ringEntries) && this.#pin(ringSlot(entry), last);
      if (there && !this.#isEnd(ringSlot(entry))) return this.#accept(ringSlot(entry), last);
      if (!there) break;
      this.#unpin(ringSlot(entry));
      marks += 1;
    }
    this.#skipTo(Math.max(end - marks, this.#cursor));
    return this.#end(end);
  }

  /** The pinned slot holds frame `sequence`: ours. */
  #accept(slot: number, sequence: number): number {
    if (sequence > this.#cursor + 1) this.#skipTo(sequence - 1);
    this.#cursor = sequence;
    this.#tokenLow = this.#pinnedTokenLow;
    this.#tokenHigh = this.#pinnedTokenHigh;
    return slot;
  }

  #isEnd(slot: number): boolean {
    return (descriptorFlags(this.#memory, slot) & FrameFlags.endOfStream) !== 0;
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
    this.#cursor = sequence;
    this.#ended = true;
    this.#announceCursor();
    return TakeOutcome.ended;
  }

  /** Every frame up to `sequence` that was not taken is passed over or lost, or, in a history not yet begun, never was. */
  #skipTo(sequence: number): void {
    const from = this.#settling ? Math.max(this.#cursor, this.#joined) : this.#cursor;
    const missed = Math.max(0, sequence - from);
    if (this.#latest) this.#skipped += missed;
    else this.#lost += missed;
    this.#cursor = sequence;
    this.#announceCursor();
  }

  /**
   * Pins `slot` and tells whether it holds frame `sequence`, published under a token no older than any seen. If not, it is
   * unpinned again.
   * IMPORTANT: pin first, look second. The publisher marks first and looks at pins second; if the look came first here, it could
   * mark and find no pin in between, and overwrite what is being read.
   */
  #pin(slot: number, sequence: number): boolean {
    if (slot >= this.#memory.geometry.slots || this.#holds(slot)) return false;
    this.#storePin(slot, true);
    const state = load32(this.#memory.descriptors, this.#memory.stateAt(slot));
    if (state === publishedWord(sequence) && hasSequence(this.#memory, slot, sequence) && this.#tokenIsCurrent(slot)) {
      this.#pinned += 1;
      return true;
    }
    this.#storePin(slot, false);
    this.#wakePublisher();
    return false;
  }

  #tokenIsCurrent(slot: number): boolean {
    const low = descriptorTokenLow(this.#memory, slot) >>> 0;
    const high = descriptorTokenHigh(this.#memory, slot) >>> 0;
    this.#pinnedTokenLow = low;
    this.#pinnedTokenHigh = high;
    return high > this.#tokenHigh || (high === this.#tokenHigh && low >= this.#tokenLow);
  }

  #holds(slot: number): boolean {
    return ((this.#pins[slot >> 5] ?? 0) & (1 << (slot & 31))) !== 0;
  }

  #storePin(slot: number, pinned: boolean): void {
    const word = slot >> 5;
    const bit = 1 << (slot & 31);
    const pins = pinned ? (this.#pins[word] ?? 0) | bit : (this.#pins[word] ?? 0) & ~bit;
    this.#pins[word] = pins;
    store32(this.#page.words, PAGE_WORD.pins + word, pins);
  }

  #unpin(slot: number): void {
    this.#storePin(slot, false);
    this.#pinned -= 1;
    this.#wakePublisher();
  }

  /** Lets a taken slot go. Its bytes must be detached before. */
  release(slot: number): void {
    store32(this.#page.words, PAGE_WORD.cursor, low32(this.#cursor));
    this.#unpin(slot);
  }

  /** A `block` publisher may be waiting for what was just stored. */
  #wakePublisher(): void {
    if (!this.#memory.geometry.block) return;
    const words = this.#page.words;
    if (load32(words, PAGE_WORD.publisherArmed) !== 1) return;
    if (cas32(words, PAGE_WORD.publisherArmed, 1, 0)) this.#ringPublisher();
  }

  #announceCursor(): void {
    store32(this.#page.words, PAGE_WORD.cursor, low32(this.#cursor));
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
