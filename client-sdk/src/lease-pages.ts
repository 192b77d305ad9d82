/**
 * The pages of all other participants, which whoever takes a lock alone must see. They are fetched in the background, so that taking it
 * never waits for the broker: while one is missing it cannot be taken in memory.
 */
import { type ClaimedPage, type LockSegment, ParticipantPages } from '@leasehold/shm-core/internal';

/** Fetches pages of participants from the broker; fewer than asked when some have left. */
export type FetchPages = (indices: readonly number[]) => Promise<readonly ClaimedPage[]>;

export class LeasePages {
  /** For the lock. */
  readonly others: ParticipantPages;
  readonly #lock: LockSegment;
  readonly #fetch: FetchPages;
  /** Fetched, and not asked for again yet. */
  readonly #arrived = new Map<number, ClaimedPage>();
  #missing: readonly number[] = [];
  #fetching: Promise<void> | null = null;
  #closed = false;

  constructor(lock: LockSegment, ownIndex: number, fetch: FetchPages) {
    this.#lock = lock;
    this.#fetch = fetch;
    this.others = new ParticipantPages(lock, ownIndex, (indices) => this.#claim(indices));
  }

  /** Whether the last look at the others failed for want of a page. */
  get missing(): boolean {
    return this.#missing.length > 0;
  }

  /** Makes the first look succeed. */
  async prepare(): Promise<void> {
    if (!this.others.refresh()) await this.fetchMissing();
  }

  /** Makes the next look succeed, if nobody joins meanwhile. Never rejects: what cannot be had is still missing. */
  fetchMissing(): Promise<void> {
    this.#fetching ??= this.#fetchMissing().finally(() => {
      this.#fetching = null;
    });
    return this.#fetching;
  }

  async #fetchMissing(): Promise<void> {
    const missing = this.#missing;
    this.#missing = [];
    try {
      for (const page of await this.#fetch(missing)) this.#keep(page);
    } catch {
      // The broker is lost or short of something. Whoever wants the lock asks it then, and is told.
    }
  }

  #keep(page: ClaimedPage): void {
    this.#arrived.get(page.index)?.release();
    if (this.#closed) page.release();
    else this.#arrived.set(page.index, page);
  }

  /**
   * IMPORTANT: a page counts only if it is of the generation that has its index now. `membership` was read before this: who takes the
   * index afterwards raises it. An older page would hide the hold of whoever has the index today.
   */
  #claim(indices: readonly number[]): readonly ClaimedPage[] {
    const found: ClaimedPage[] = [];
    for (const index of indices) {
      const page = this.#arrived.get(index);
      if (page === undefined) continue;
      this.#arrived.delete(index);
      if (page.generation === this.#lock.generationOf(index)) found.push(page);
      else page.release();
    }
    this.#missing = indices.filter((index) => !found.some((page) => page.index === index));
    return found;
  }

  close(): void {
    this.#closed = true;
    this.others.release();
    for (const page of this.#arrived.values()) page.release();
    this.#arrived.clear();
  }
}
