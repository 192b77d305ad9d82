/**
 * The publisher's picture of who takes part: the pages of live participants, mapped as they join. Whether the picture is still
 * true costs one load (`membership`); only a change makes it look again, and claim the pages it has not mapped.
 */
import { LOCK_WORD, type LockSegment } from '../mapping/lock-segment.ts';
import { PAGE_WORD, type ParticipantPage } from '../mapping/participant-page.ts';

/** A page that the publisher has mapped. */
export interface ClaimedPage {
  readonly index: number;
  readonly generation: number;
  readonly page: ParticipantPage;
  /** Rings the participant’s doorbell. Never blocks, never throws. */
  ring(): void;
  /** Gives the mapping up. */
  release(): void;
}

/** Fetches pages of participants from the broker, synchronously and boundedly. May return fewer than asked; never throws. */
export type ClaimPages = (indices: readonly number[]) => readonly ClaimedPage[];

export class SubscriberPages {
  readonly #lock: LockSegment;
  readonly #claim: ClaimPages;
  readonly #ownIndex: number;
  readonly #pinWords: number;
  #claimed = new Map<number, ClaimedPage>();
  #membership: number | null = null;
  /** Live participants other than the publisher itself. */
  pages: readonly ClaimedPage[] = [];

  /** `slots`: of the channel. `ownIndex`: of the publisher, whose own page is of no interest. */
  constructor(lock: LockSegment, { slots, ownIndex }: { slots: number; ownIndex: number }, claim: ClaimPages) {
    this.#lock = lock;
    this.#ownIndex = ownIndex;
    this.#pinWords = Math.ceil(slots / 32);
    this.#claim = claim;
  }

  /**
   * Makes `pages` hold every participant that was live when this was called. Call it after a mark, and look at pins after it.
   * False when a page is missing that a live participant may be using.
   */
  refresh(): boolean {
    const membership = Atomics.load(this.#lock.words, LOCK_WORD.membership);
    if (membership === this.#membership) return true;
    const live = this.#lock.liveIndices().filter((index) => index !== this.#ownIndex);
    this.#dropAllBut(live);
    const missing = live.filter((index) => !this.#claimed.has(index));
    if (missing.length > 0 && !this.#fetch(missing)) return false;
    this.pages = [...this.#claimed.values()];
    this.#membership = membership;
    return true;
  }

  #dropAllBut(live: readonly number[]): void {
    const before = this.#claimed.size;
    for (const [index, claimed] of this.#claimed) {
      if (live.includes(index) && this.#lock.generationOf(index) === claimed.generation) continue;
      this.#claimed.delete(index);
      claimed.release();
    }
    // `pages` is another array only when it holds something else: a waiting publisher tells by it whom it has asked to ring.
    if (this.#claimed.size < before) this.pages = [...this.#claimed.values()];
  }

  #fetch(missing: readonly number[]): boolean {
    for (const claimed of this.#claim(missing)) this.#claimed.set(claimed.index, claimed);
    return missing.every((index) => this.#claimed.has(index) || !this.#lock.isLive(index));
  }

  /** Whether somebody has the slot pinned who may. */
  pinned(slot: number): boolean {
    const word = PAGE_WORD.pins + (slot >> 5);
    const bit = 1 << (slot & 31);
    for (const claimed of this.pages) {
      if ((Atomics.load(claimed.page.words, word) & bit) !== 0 && !this.#pinsTooMuch(claimed)) return true;
    }
    return false;
  }

  /**
   * A participant that pins more slots than it was admitted for would stop the publisher: none of its pins count. An honest one
   * changes its pins while they are read here, so that slots from before and after a release may add up to too many; but it
   * cannot show the same again, since it takes no frame twice and nothing is published meanwhile.
   */
  #pinsTooMuch({ index, page }: ClaimedPage): boolean {
    const maxPins = this.#lock.maxPinsOf(index);
    if (this.#countPins(page) <= maxPins) return false;
    const pins = this.#readPins(page);
    return sum(pins.map(countBits)) > maxPins && this.#readPins(page).every((bits, word) => bits === pins[word]);
  }

  #countPins({ words }: ParticipantPage): number {
    let count = 0;
    for (let word = 0; word < this.#pinWords; word += 1) count += countBits(Atomics.load(words, PAGE_WORD.pins + word));
    return count;
  }

  #readPins({ words }: ParticipantPage): number[] {
    return Array.from({ length: this.#pinWords }, (_, word) => Atomics.load(words, PAGE_WORD.pins + word));
  }

  /** Unmaps every page. */
  release(): void {
    for (const claimed of this.#claimed.values()) claimed.release();
    this.#claimed = new Map();
    this.pages = [];
    this.#membership = null;
  }
}

const sum = (counts: readonly number[]): number => counts.reduce((total, count) => total + count, 0);

function countBits(word: number): number {
  let count = 0;
  for (let bits = word; bits !== 0; bits &= bits - 1) count += 1;
  return count;
}
