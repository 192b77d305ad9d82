/** Whom a `block` publisher waits for: subscribers whose cursor counts, and how it asks them to ring when they have gone on. */
import { load32, store32 } from '../layout/control-words.ts';
import { low32 } from '../layout/sequence.ts';
import type { LockSegment } from '../mapping/lock-segment.ts';
import { PAGE_WORD } from '../mapping/participant-page.ts';
import type { ClaimedPage, ParticipantPages } from '../mapping/participant-pages.ts';

/** A participant that has frames to read. */
export interface SlowReader {
  readonly index: number;
  readonly generation: number;
  /** Frames that it has not read. */
  readonly lag: number;
}

export class SlowReaders {
  readonly #lock: LockSegment;
  readonly #pages: ParticipantPages;
  #armedPages: readonly ClaimedPage[] | null = null;

  constructor(lock: LockSegment, pages: ParticipantPages) {
    this.#lock = lock;
    this.#pages = pages;
  }

  /** How many frames up to `newest` the slowest has not read, at least 0. */
  longestLag(newest: number): number {
    let longest = 0;
    for (const { index, page } of this.#pages.pages) {
      if (!this.#lock.isCounted(index)) continue;
      const lag = (low32(newest) - load32(page.words, PAGE_WORD.cursor)) | 0;
      if (lag > longest) longest = lag;
    }
    return longest;
  }

  /** All that count, slowest first. */
  list(newest: number): SlowReader[] {
    return this.#pages.pages
      .filter(({ index }) => this.#lock.isCounted(index))
      .map(({ index, generation, page }) => {
        return { index, generation, lag: (low32(newest) - load32(page.words, PAGE_WORD.cursor)) | 0 };
      })
      .sort((a, b) => b.lag - a.lag);
  }

  /** Asks every subscriber to ring when it has read or let go; the one that rings clears its request. */
  arm(): void {
    for (const { page } of this.#pages.pages) store32(page.words, PAGE_WORD.publisherArmed, 1);
    this.#armedPages = this.#pages.pages;
  }
  /** Whether everybody who takes part, as far as is known, has been asked. */
  get armed(): boolean {
    return this.#armedPages === this.#pages.pages;
  }
}
