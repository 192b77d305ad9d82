/** A slot that the publisher is filling. Nobody sees it until it is published; not published, it is given back. */
import { LeaseholdError } from '@leasehold/proto';
import { type FrameFields, NO_FIELDS } from '@leasehold/shm-core/internal';
import { fourccNumber } from './fourcc.ts';

/** What may be said of a frame. What is left out is as the channel's format says. */
export interface PublishOptions {
  /** Length of the payload, B; default: the whole slot. */
  readonly payloadBytes?: number;
  /** When the picture was taken, ns of CLOCK_MONOTONIC. */
  readonly capturedNs?: bigint;
  /** Pixels. */
  readonly width?: number;
  /** Pixels. */
  readonly height?: number;
  readonly strideBytes?: number;
  readonly fourcc?: string;
  /** Your own, at most 128 B; copied. */
  readonly metadata?: Uint8Array;
}

/** What a loan needs of its publisher. Both end the loan. */
export interface LoanOwner {
  /** @returns the frame's sequence. */
  publish(slot: number, payloadBytes: number, fields: FrameFields): number;
  discard(slot: number): void;
}

export class Loan implements Disposable {
  readonly #owner: LoanOwner;
  readonly #slot: number;
  #bytes: Uint8Array;
  #slotBytes: number;
  #over = false;
  #sequence = 0;
  #revoked: LeaseholdError | null = null;

  /** @internal */
  constructor(owner: LoanOwner, slot: number, bytes: Uint8Array) {
    this.#owner = owner;
    this.#slot = slot;
    this.#bytes = bytes;
    this.#slotBytes = bytes.length;
  }

  /** @internal The same slot, lent once more (`views: 'persistent'`). */
  reopen(bytes: Uint8Array): void {
    this.#bytes = bytes;
    this.#slotBytes = bytes.length;
    this.#over = false;
    this.#sequence = 0;
  }

  /** @internal */
  get slot(): number {
    return this.#slot;
  }
  /** The slot, in shared memory; what an earlier frame left in it is still there. Length 0 once published or discarded. */
  get bytes(): Uint8Array {
    return this.#bytes;
  }
  /** Number of the frame, from 1, once it is published; null before, and when it never was. */
  get sequence(): bigint | null {
    return this.#sequence === 0 ? null : BigInt(this.#sequence);
  }

  /**
   * Shows the frame to every subscriber. The loan is over, unless the options are refused.
   * @throws LeaseholdError LEASE_LOST: nobody was shown the frame; FRAME_TOO_LARGE, INVALID_ARGUMENT, INVALID_FORMAT: publish again;
   *   VIEW_STOLEN; CLOSED.
   */
  publish(options?: PublishOptions): void {
    this.#checkOpen();
    if (options === undefined) {
      this.#over = true;
      this.#sequence = this.#owner.publish(this.#slot, this.#slotBytes, NO_FIELDS);
    } else {
      this.#publishAs(options);
    }
  }

  #publishAs(options: PublishOptions): void {
    const payloadBytes = options.payloadBytes ?? this.#slotBytes;
    if (!Number.isInteger(payloadBytes) || payloadBytes < 0 || payloadBytes > this.#slotBytes) {
      throw new LeaseholdError(
        'FRAME_TOO_LARGE',
        `payloadBytes must be 0 to ${this.#slotBytes}, the slot, not ${payloadBytes}`,
      );
    }
    const fields = fieldsFrom(options);
    // Reading options may have run somebody's code, and that may have ended the loan.
    this.#checkOpen();
    this.#over = true;
    this.#sequence = this.#owner.publish(this.#slot, payloadBytes, fields);
  }

  #checkOpen(): void {
    if (this.#over) throw this.#revoked ?? new LeaseholdError('CLOSED', 'this loan was published or discarded already');
  }

  /** Gives the slot back; nobody sees it. Idempotent, nothing after `publish`. @throws LeaseholdError VIEW_STOLEN. */
  discard(): void {
    if (this.#over) return;
    this.#over = true;
    this.#owner.discard(this.#slot);
  }
  [Symbol.dispose](): void {
    this.discard();
  }

  /** @internal Discards it; `publish` throws `why` from now on. */
  revoke(why: LeaseholdError): void {
    if (this.#over) return;
    this.#revoked = why;
    this.#over = true;
    try {
      this.#owner.discard(this.#slot);
    } catch {
      // Stolen: its slot stays out of use, and there is nobody here to tell.
    }
  }
}

const METADATA_BYTES_MAX = 128;
const U32_HALF_MAX = 2 ** 31 - 1;

function fieldsFrom(options: PublishOptions): FrameFields {
  const { capturedNs, width, height, strideBytes, fourcc, metadata } = options;
  const plain = capturedNs === undefined && width === undefined && height === undefined;
  if (plain && strideBytes === undefined && fourcc === undefined && metadata === undefined) return NO_FIELDS;
  return {
    capturedNs: capturedNs === undefined ? 0 : checkedNumber('capturedNs', Number(capturedNs), Number.MAX_SAFE_INTEGER),
    width: width === undefined ? 0 : checkedNumber('width', width, U32_HALF_MAX),
    height: height === undefined ? 0 : checkedNumber('height', height, U32_HALF_MAX),
    strideBytes: strideBytes === undefined ? 0 : checkedNumber('strideBytes', strideBytes, U32_HALF_MAX),
    fourcc: fourcc === undefined ? 0 : fourccNumber(fourcc),
    metadata: metadata === undefined ? null : checkedMetadata(metadata),
  };
}

/** A copy: it may be a part of the loan’s own bytes, which could be written to before they are read. */
function checkedMetadata(metadata: Uint8Array): Uint8Array {
  if (!(metadata instanceof Uint8Array)) {
    throw new LeaseholdError('INVALID_ARGUMENT', `metadata must be a Uint8Array, not ${String(metadata)}`);
  }
  if (metadata.length > METADATA_BYTES_MAX) {
    throw new LeaseholdError('INVALID_ARGUMENT', `metadata may have ${METADATA_BYTES_MAX} B, not ${metadata.length}`);
  }
  return new Uint8Array(metadata);
}

function checkedNumber(what: string, value: number, max: number): number {
  if (Number.isInteger(value) && value >= 0 && value <= max) return value;
  throw new LeaseholdError('INVALID_ARGUMENT', `${what} must be an integer from 0 to ${max}, not ${value}`);
}
