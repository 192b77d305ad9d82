/**
 * Who else takes part in a mapping, as one writer sees it: the pages of live participants, mapped as they join. Whether the picture is
 * still true costs one load (`membership`); only a change makes it look again, and claim the pages it has not mapped.
 */
import type { LockSegment } from './lock-segment.ts';
import type { ParticipantPage } from './participant-page.ts';

/** A page that has been mapped. */
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

export class ParticipantPages {
  readonly #lock: LockSegment;
  readonly #claim: ClaimPages;
  readonly #ownIndex: number;
  #claimed = new Map<number, ClaimedPage>();
  #membership: number | null = null;
  #released = false;
  /** Live participants other than the one whose picture this is. */
  pages: readonly ClaimedPage[] = [];

  constructor(lock: LockSegment, ownIndex: number, claim: ClaimPages) {
    this.#lock = lock;
    this.#ownIndex = ownIndex;
    this.#claim = claim;
  }

  /** Whether nothing has changed, as far as a plain look tells: for a first look that `refresh` follows. */
  get seemCurrent(): boolean {
    return this.#lock.seenMembership === this.#membership;
  }

  /**
   * Makes `pages` hold every participant that was live when this was called. Call it after a mark (a slot that is WRITING, the lock
   * that is taken), and look at their words after it. False when a page is missing that a live participant may be using.
   */
  refresh(): boolean {
    // Its memory may be unmapped already: somebody’s code can close a publisher in the middle of a batch.
    if (this.#released) return true;
    const { membership } = this.#lock;
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

  /** Unmaps every page, for good: there is nobody from now on. */
  release(): void {
    this.#released = true;
    for (const claimed of this.#claimed.values()) claimed.release();
    this.#claimed = new Map();
    this.pages = [];
    this.#membership = null;
  }
}
