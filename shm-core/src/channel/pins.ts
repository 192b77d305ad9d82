/** Which slots are pinned, by all other participants of a channel, and whether a participant's pins count at all. */
import { load32 } from '../layout/control-words.ts';
import type { LockSegment } from '../mapping/lock-segment.ts';
import { PAGE_WORD, type ParticipantPage } from '../mapping/participant-page.ts';
import type { ClaimedPage, ParticipantPages } from '../mapping/participant-pages.ts';

export class Pins {
  readonly #lock: LockSegment;
  readonly #others: ParticipantPages;
  readonly #pinWords: number;

  constructor(lock: LockSegment, others: ParticipantPages, slots: number) {
    this.#lock = lock;
    this.#others = others;
    this.#pinWords = Math.ceil(slots / 32);
  }

  /** Whether somebody has the slot pinned who may. */
  pinned(slot: number): boolean {
    const word = PAGE_WORD.pins + (slot >> 5);
    const bit = 1 << (slot & 31);
    for (const claimed of this.#others.pages) {
      if ((load32(claimed.page.words, word) & bit) !== 0 && !this.#pinsTooMuch(claimed)) return true;
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
    for (let word = 0; word < this.#pinWords; word += 1) count += countBits(load32(words, PAGE_WORD.pins + word));
    return count;
  }

  #readPins({ words }: ParticipantPage): number[] {
    return Array.from({ length: this.#pinWords }, (_, word) => load32(words, PAGE_WORD.pins + word));
  }
}

const sum = (counts: readonly number[]): number => counts.reduce((total, count) => total + count, 0);

function countBits(word: number): number {
  let count = 0;
  for (let bits = word; bits !== 0; bits &= bits - 1) count += 1;
  return count;
}
