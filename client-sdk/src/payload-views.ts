/**
 * The payload bytes of a mapping in this process. A view is made once and detached when its user is done: the typed arrays on it become
 * empty at once, and the buffer that `transfer()` gives back serves the next user of the same part. Invariant: nothing is viewed beyond
 * the payload that is there.
 */
import { constants } from 'node:buffer';
import { LeaseholdError } from '@leasehold/proto';
import { type Advice, type AdviceOutcome, Advices, type AttachedMapping } from '@leasehold/shm-core/internal';
import { checkedChoice } from './arguments.ts';
import { asLeaseholdError } from './memory-errors.ts';

/** Parts whose views are kept for later; beyond these the oldest is forgotten. */
const PARTS_KEPT = 32;

/** What is used of an attached mapping. */
export type Payload = Pick<AttachedMapping, 'data' | 'payloadBytes'>;

export class PayloadViews {
  readonly #name: string;
  readonly #payload: Payload;
  /** Longest that one view can be, B. */
  readonly #viewBytesMax: number;
  readonly #whole: ArrayBuffer[] = [];
  /** What the views in `#whole` cover, B. */
  #wholeBytes = 0;
  readonly #parts = new Map<string, ArrayBuffer>();

  /** `name`: of the mapping, for what is thrown. */
  constructor(name: string, payload: Payload, viewBytesMax: number = constants.MAX_LENGTH) {
    this.#name = name;
    this.#payload = payload;
    this.#viewBytesMax = viewBytesMax;
  }

  /** What is there now, B. @throws LeaseholdError CORRUPT_MEMORY. */
  get sizeBytes(): number {
    try {
      return this.#payload.payloadBytes;
    } catch (error) {
      throw asLeaseholdError(error);
    }
  }

  /** The whole payload. @throws LeaseholdError INVALID_SIZE when it is larger than one view can be; CORRUPT_MEMORY. */
  open(): Uint8Array<ArrayBuffer> {
    const { sizeBytes } = this;
    if (sizeBytes !== this.#wholeBytes) {
      this.#whole.length = 0;
      this.#wholeBytes = sizeBytes;
    }
    const idle = this.#whole.pop();
    if (idle !== undefined) return new Uint8Array(idle);
    if (sizeBytes <= this.#viewBytesMax) return this.#payload.data.bytes(0, sizeBytes);
    throw new LeaseholdError(
      'INVALID_SIZE',
      `${this.#name} has ${sizeBytes} B, and one view may have ${this.#viewBytesMax} B; use window(offset, length)`,
      { metadata: { mapping: this.#name, sizeBytes: String(sizeBytes) } },
    );
  }

  /** Whether `bytes`, from `open`, are still all that is there. */
  isWhole(bytes: Uint8Array): boolean {
    return bytes.byteLength === this.sizeBytes;
  }

  /** A part of the payload. @throws LeaseholdError INVALID_SIZE when it is not within what is there; CORRUPT_MEMORY. */
  openPart(offset: number, length: number): Uint8Array<ArrayBuffer> {
    const { sizeBytes } = this;
    const inside = Number.isSafeInteger(offset) && offset >= 0 && Number.isSafeInteger(length) && length > 0;
    if (!inside || length > sizeBytes - offset || length > this.#viewBytesMax) {
      throw new LeaseholdError(
        'INVALID_SIZE',
        length > this.#viewBytesMax
          ? `a window of ${length} B is longer than the ${this.#viewBytesMax} B of one view`
          : `a window of ${length} B at ${offset} is not within the ${sizeBytes} B of ${this.#name}; it has at least 1 B`,
        {
          metadata: {
            mapping: this.#name,
            offset: String(offset),
            length: String(length),
            sizeBytes: String(sizeBytes),
          },
        },
      );
    }
    const key = `${offset}+${length}`;
    const idle = this.#parts.get(key);
    this.#parts.delete(key);
    return idle === undefined ? this.#payload.data.bytes(offset, length) : new Uint8Array(idle);
  }

  /** Detaches what `open` gave. False when somebody else had detached or transferred it: its memory is out of our hands. */
  close(bytes: Uint8Array<ArrayBuffer>): boolean {
    const buffer = this.#takeBack(bytes);
    if (buffer !== null && buffer.byteLength === this.#wholeBytes) this.#whole.push(buffer);
    return buffer !== null || !this.#payload.data.transferable;
  }

  /** The same for `openPart`. */
  closePart(offset: number, bytes: Uint8Array<ArrayBuffer>): boolean {
    const length = bytes.byteLength;
    const buffer = this.#takeBack(bytes);
    if (buffer === null) return !this.#payload.data.transferable;
    this.#parts.set(`${offset}+${length}`, buffer);
    for (const key of this.#parts.keys()) {
      if (this.#parts.size <= PARTS_KEPT) break;
      this.#parts.delete(key);
    }
    return true;
  }

  #takeBack({ buffer }: Uint8Array<ArrayBuffer>): ArrayBuffer | null {
    const { data } = this.#payload;
    if (!data.transferable) return null;
    if (!buffer.detached) return buffer.transfer();
    data.keepFromReuse();
    return null;
  }

  /** For the payload that is there. @throws LeaseholdError OUT_OF_MEMORY (`populate`), CORRUPT_MEMORY. */
  advise(advice: Advice): AdviceOutcome {
    checkedChoice('advice', advice, Advices);
    try {
      return this.#payload.data.advise(advice, 0, this.sizeBytes);
    } catch (error) {
      throw asLeaseholdError(error);
    }
  }
}
