/** A slot that the publisher is filling. Nobody sees it until it is published; not published, it is given back. */
import { LeaseholdError } from '@leasehold/proto';
import type { FrameFields } from '@leasehold/shm-core/internal';
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
  publish(loan: Loan, slot: number, payloadBytes: number, fields: FrameFields): bigint;
  discard(loan: Loan, slot: number): void;
}

export class Loan implements Disposable {
  readonly #owner: LoanOwner;
  readonly #slot: number;
  readonly #bytes: Uint8Array;
  readonly #slotBytes: number;
  #over = false;
  #revoked: LeaseholdError | null = null;

  /** @internal */
  constructor(owner: LoanOwner, slot: number, bytes: Uint8Array) {
    this.#owner = owner;
    this.#slot = slot;
    this.#bytes = bytes;
    this.#slotBytes = bytes.length;
  }

  /** The slot, in shared memory; what an earlier frame left in it is still there. Length 0 once published or discarded. */
  get bytes(): Uint8Array {
    return this.#bytes;
  }

  /**
   * Shows the frame to every subscriber. The loan is over, unless the options are refused.
   * @returns the frame's sequence, from 1.
   * @throws LeaseholdError LEASE_LOST: nobody was shown the frame; FRAME_TOO_LARGE, INVALID_ARGUMENT, INVALID_FORMAT: publish again;
   *   VIEW_STOLEN; CLOSED.
   */
  publish(options: PublishOptions = {}): bigint {
    if (this.#over) throw this.#revoked ?? new LeaseholdError('CLOSED', 'this loan was published or discarded already');
    const payloadBytes = options.payloadBytes ?? this.#slotBytes;
    if (!Number.isInteger(payloadBytes) || payloadBytes < 0 || payloadBytes > this.#slotBytes) {
      throw new LeaseholdError(
        'FRAME_TOO_LARGE',
        `payloadBytes must be 0 to ${this.#slotBytes}, the slot, not ${payloadBytes}`,
      );
    }
    const fields = fieldsFrom(options);
    this.#over = true;
    return this.#owner.publish(this, this.#slot, payloadBytes, fields);
  }

  /** Gives the slot back; nobody sees it. Idempotent, nothing after `publish`. @throws LeaseholdError VIEW_STOLEN. */
  discard(): void {
    if (this.#over) return;
    this.#over = true;
    this.#owner.discard(this, this.#slot);
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
      this.#owner.discard(this, this.#slot);
    } catch {
      // Stolen: its slot stays out of use, and there is nobody here to tell.
    }
  }
}

const METADATA_BYTES_MAX = 128;
const NO_FIELDS: FrameFields = {};

function fieldsFrom(options: PublishOptions): FrameFields {
  const { capturedNs, width, height, strideBytes, fourcc, metadata } = options;
  const plain = capturedNs === undefined && width === undefined && height === undefined;
  if (plain && strideBytes === undefined && fourcc === undefined && metadata === undefined) return NO_FIELDS;
  if (metadata !== undefined && metadata.length > METADATA_BYTES_MAX) {
    throw new LeaseholdError('INVALID_ARGUMENT', `metadata may have ${METADATA_BYTES_MAX} B, not ${metadata.length}`);
  }
  return {
    ...(capturedNs === undefined
      ? {}
      : { capturedNs: checkedNumber('capturedNs', Number(capturedNs), Number.MAX_SAFE_INTEGER) }),
    ...(width === undefined ? {} : { width: checkedNumber('width', width, 2 ** 31 - 1) }),
    ...(height === undefined ? {} : { height: checkedNumber('height', height, 2 ** 31 - 1) }),
    ...(strideBytes === undefined ? {} : { strideBytes: checkedNumber('strideBytes', strideBytes, 2 ** 31 - 1) }),
    ...(fourcc === undefined ? {} : { fourcc: fourccNumber(fourcc) }),
    // A copy: it may be a part of the loan’s own bytes, which are detached before they are shown.
    ...(metadata === undefined ? {} : { metadata: metadata.slice() }),
  };
}

function checkedNumber(what: string, value: number, max: number): number {
  if (Number.isInteger(value) && value >= 0 && value <= max) return value;
  throw new LeaseholdError('INVALID_ARGUMENT', `${what} must be an integer from 0 to ${max}, not ${value}`);
}
