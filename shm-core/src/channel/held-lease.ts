/** The lease under which a publisher publishes, and whether the lock segment still says that it is ours. */
import { peekIs64 } from '../layout/control-words.ts';
import { LOCK_WORD, type LockSegment } from '../mapping/lock-segment.ts';

export interface PublisherLease {
  /** What W holds while the lease is ours. */
  readonly holdId: bigint;
  readonly fencingToken: bigint;
}

const lowHalf = (value: bigint): number => Number(BigInt.asIntN(32, value));
const highHalf = (value: bigint): number => Number(BigInt.asIntN(32, value >> 32n));

export class HeldLease {
  readonly #lock: LockSegment;
  #taken = false;
  #holdLow = 0;
  #holdHigh = 0;
  /** Halves of the fencing token. */
  tokenLow = 0;
  tokenHigh = 0;

  constructor(lock: LockSegment) {
    this.#lock = lock;
  }

  take({ holdId, fencingToken }: PublisherLease): void {
    this.#taken = true;
    this.#holdLow = lowHalf(holdId);
    this.#holdHigh = highHalf(holdId);
    this.tokenLow = lowHalf(fencingToken);
    this.tokenHigh = highHalf(fencingToken);
  }

  /** A plain look: nothing is unsafe for a publisher that hears of its loss a frame late. */
  get isHeld(): boolean {
    return this.#taken && peekIs64(this.#lock.words, LOCK_WORD.holder, this.#holdLow, this.#holdHigh);
  }
}
