/**
 * Fencing tokens of one broker: 16 bits of epoch, 48 of counter. They only rise, are never reused, and run out loudly. One
 * counter for all channels, so that a channel deleted and created anew under its name goes on rising.
 */
import { LeaseholdError } from '@leasehold/proto';

/** 16 bits of a fencing token; 0 is never used. */
export const EPOCH_MAX = 65_535;
const COUNTER_BITS = 48n;
const COUNTER_MAX = (1n << COUNTER_BITS) - 1n;

export class FencingTokens {
  readonly #epoch: bigint;
  #counter: bigint;

  /** @throws RangeError for an epoch outside 1 to EPOCH_MAX. */
  constructor(epoch: number, usedBefore = 0n) {
    if (!Number.isInteger(epoch) || epoch < 1 || epoch > EPOCH_MAX) {
      throw new RangeError(`epochs are 1 to ${EPOCH_MAX}, not ${epoch}`);
    }
    this.#epoch = BigInt(epoch);
    this.#counter = usedBefore;
  }

  /** @throws {LeaseholdError} TOKENS_EXHAUSTED */
  next(): bigint {
    if (this.#counter >= COUNTER_MAX) {
      throw new LeaseholdError(
        'TOKENS_EXHAUSTED',
        `All fencing tokens of epoch ${this.#epoch} are used; restart the broker.`,
        {
          metadata: { epoch: String(this.#epoch) },
        },
      );
    }
    this.#counter += 1n;
    return (this.#epoch << COUNTER_BITS) | this.#counter;
  }
}
