/**
 * What a subscriber has pinned, in its own page, which has no other writer. A pin is the state word of a frame: that frame is not
 * overwritten, whichever slot it is in, and though it may not be published yet. One pin is *ahead*: it protects the frame that the
 * subscriber wants next, so that nothing has to be stored between seeing that frame and reading it.
 */
import { store32, storeAhead32 } from '../layout/control-words.ts';
import { low32 } from '../layout/sequence.ts';
import { PAGE_WORD, type ParticipantPage } from '../mapping/participant-page.ts';
import { publishedWord } from './words.ts';

const NONE = -1;

export class OwnPins {
  readonly #words: ParticipantPage['words'];
  /** The pins that are not in use, last in first out. */
  readonly #free: Int16Array;
  #freeCount: number;
  /** Which pin protects the frame that is held in a slot. */
  readonly #pinOfSlot: Int16Array;
  #ahead = NONE;
  /** The frame that the pin ahead protects. */
  #wanted = 0;
  #held = 0;

  constructor(page: ParticipantPage, pins: number, slots: number) {
    this.#words = page.words;
    this.#free = Int16Array.from({ length: pins }, (_, taken) => pins - 1 - taken);
    this.#freeCount = pins;
    this.#pinOfSlot = new Int16Array(slots).fill(NONE);
  }

  /** Frames held. */
  get held(): number {
    return this.#held;
  }
  holds(slot: number): boolean {
    return this.#pinOfSlot[slot] !== NONE;
  }

  /** Whether frame `sequence` is protected ahead. */
  wants(sequence: number): boolean {
    return this.#wanted === sequence && this.#ahead !== NONE;
  }

  /**
   * Protects frame `sequence`, and no longer what was protected ahead: whether there was such a frame.
   * @throws RangeError when every pin holds a frame.
   */
  want(sequence: number): boolean {
    if (this.wants(sequence)) return false;
    const moved = this.#ahead !== NONE;
    if (!moved) this.#ahead = this.#takeFree();
    this.#wanted = sequence;
    store32(this.#words, PAGE_WORD.pins + this.#ahead, publishedWord(sequence));
    return moved;
  }

  #takeFree(): number {
    if (this.#freeCount === 0) throw new RangeError(`all ${this.#free.length} pins hold frames: release one first`);
    this.#freeCount -= 1;
    return this.#free[this.#freeCount] as number;
  }

  /** The frame that was wanted is in `slot`, and held from now on. */
  keep(slot: number): void {
    this.#pinOfSlot[slot] = this.#ahead;
    this.#ahead = NONE;
    this.#held += 1;
  }

  /**
   * Lets the frame in `slot` go; `cursor` is the newest that was taken. When nothing is wanted yet, the same store protects the frame
   * after it.
   */
  release(slot: number, cursor: number): void {
    const pin = this.#pinOfSlot[slot] ?? NONE;
    this.#pinOfSlot[slot] = NONE;
    this.#held -= 1;
    let word = 0;
    if (this.#ahead === NONE) {
      this.#ahead = pin;
      this.#wanted = cursor + 1;
      word = publishedWord(this.#wanted);
    } else {
      this.#free[this.#freeCount] = pin;
      this.#freeCount += 1;
    }
    storeAhead32(this.#words, PAGE_WORD.cursor, low32(cursor));
    store32(this.#words, PAGE_WORD.pins + pin, word);
  }

  /** Wants nothing any more. */
  wantNothing(): void {
    if (this.#ahead === NONE) return;
    store32(this.#words, PAGE_WORD.pins + this.#ahead, 0);
    this.#free[this.#freeCount] = this.#ahead;
    this.#freeCount += 1;
    this.#ahead = NONE;
  }
}
