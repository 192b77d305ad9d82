/**
 * Where the fencing tokens of each new mapping begin: 16 bits of epoch, 48 of counter. Invariants: above every token that was used of a
 * mapping deleted before, so that whoever is created anew under its name goes on rising; never past the last of the epoch. The
 * counting itself is in shared memory.
 */
import { LeaseholdError } from '@leasehold/proto';

/** 16 bits of a fencing token; 0 is never used. */
export const EPOCH_MAX = 65_535;
const COUNTER_BITS = 48n;
/** Nobody takes tokens faster: what a mapping claims beyond it, somebody wrote there by mistake or malice, 1/ms. */
const TOKENS_PER_MS_MAX = 20_000n;

export class FencingTokens {
  /** The last token of this epoch. */
  readonly limit: bigint;
  readonly #epoch: number;
  #newest: bigint;

  /** @throws RangeError for an epoch outside 1 to EPOCH_MAX. */
  constructor(epoch: number) {
    if (!Number.isInteger(epoch) || epoch < 1 || epoch > EPOCH_MAX) {
      throw new RangeError(`epochs are 1 to ${EPOCH_MAX}, not ${epoch}`);
    }
    this.#epoch = epoch;
    this.#newest = BigInt(epoch) << COUNTER_BITS;
    this.limit = this.#newest + (1n << COUNTER_BITS) - 1n;
  }

  /** Tokens of a new mapping are above this one. @throws {LeaseholdError} TOKENS_EXHAUSTED */
  beginAfter(): bigint {
    if (this.#newest < this.limit) return this.#newest;
    throw new LeaseholdError(
      'TOKENS_EXHAUSTED',
      `All fencing tokens of epoch ${this.#epoch} are used; restart the broker.`,
      { metadata: { epoch: String(this.#epoch) } },
    );
  }

  /** A mapping that began after `first` and lived for `lifeMs` is deleted; the newest token its memory shows is `seen`. */
  retire(first: bigint, seen: bigint, lifeMs: number): void {
    const plausible = first + BigInt(Math.ceil(Math.max(lifeMs, 0)) + 1) * TOKENS_PER_MS_MAX;
    const newest = [seen, plausible, this.limit].reduce((least, token) => (token < least ? token : least));
    if (newest > this.#newest) this.#newest = newest;
  }
}
