/** Whether a frame is pinned, by any other participant of a channel. */
import { type ControlWords, peek32 } from '../layout/control-words.ts';
import { MAX_PINS } from '../layout/regions.ts';
import type { LockSegment } from '../mapping/lock-segment.ts';
import { PAGE_WORD } from '../mapping/participant-page.ts';
import type { ClaimedPage, ParticipantPages } from '../mapping/participant-pages.ts';

const FIRST_PIN = PAGE_WORD.pins;

interface PinnedPage {
  readonly words: ControlWords;
  /** After the last pin that the participant was admitted with: what it writes beyond pins nothing. */
  readonly end: number;
}

export class Pins {
  readonly #lock: LockSegment;
  readonly #others: ParticipantPages;
  #known: readonly ClaimedPage[] = [];
  #pages: readonly PinnedPage[] = [];

  constructor(lock: LockSegment, others: ParticipantPages) {
    this.#lock = lock;
    this.#others = others;
  }

  /**
   * Whether somebody has pinned the frame whose state word is `state`. Nobody pins a slot that is free. Plain looks: what they say after a
   * mark holds if an `Atomics` load, as of `ParticipantPages.refresh`, lies between the two.
   */
  pinned(state: number): boolean {
    if (state === 0) return false;
    if (this.#known !== this.#others.pages) this.#look();
    for (const { words, end } of this.#pages) {
      for (let word = FIRST_PIN; word < end; word += 1) if (peek32(words, word) === state) return true;
    }
    return false;
  }

  #look(): void {
    this.#known = this.#others.pages;
    this.#pages = this.#known
      .map(({ index, page }) => ({ words: page.words, end: FIRST_PIN + this.#pinsOf(index) }))
      .filter(({ end }) => end > FIRST_PIN);
  }

  #pinsOf(index: number): number {
    const granted = this.#lock.maxPinsOf(index);
    return granted >= 0 && granted <= MAX_PINS ? granted : MAX_PINS;
  }
}
