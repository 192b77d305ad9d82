/**
 * What a mapping is charged, to the user who created it. Invariants: what it is charged was within the quotas when it was admitted.
 * Memory that would come from the machine is also checked against what the machine has left, less a reserve and less what others were
 * promised and have not populated yet, because running into a control group's limit kills the broker instead of failing.
 */
import { LeaseholdError } from '@leasehold/proto';
import type { PageKind } from '@leasehold/shm-core/internal';
import type { Headroom } from './ports.ts';
import type { Amounts, Quotas, Taken } from './quotas.ts';

/** Data and lock segment; what is opened for a reader is closed when it was sent. */
const DESCRIPTORS = 2;

export interface ChargesOptions {
  readonly quota: Quotas;
  /** What is left to the machine, B. */
  readonly reserveBytes: number;
  readonly headroom: () => Headroom;
}

export interface NewCharge {
  readonly uid: number;
  /** What the mapping needs beside its data segment, B. */
  readonly controlBytes: number;
  /** What its data may grow to, B; 0: its size. */
  readonly reservedBytes: number;
}

/** Opens charges. */
export class Charges {
  readonly #options: ChargesOptions;

  constructor(options: ChargesOptions) {
    this.#options = options;
  }

  /** @throws {LeaseholdError} QUOTA_EXCEEDED */
  open({ uid, controlBytes, reservedBytes }: NewCharge): Charge {
    const { quota } = this.#options;
    const taken = quota.take(uid, { mappings: 1, descriptors: DESCRIPTORS });
    return new Charge({ taken, controlBytes, reservedBytes }, (bytes, promised) => this.#spare(bytes, promised));
  }

  /** @throws {LeaseholdError} OUT_OF_MEMORY */
  #spare(bytes: number, unpopulatedBytes: number): void {
    const keptBytes = this.#options.reserveBytes + unpopulatedBytes;
    const { availableBytes, detail } = this.#options.headroom();
    if (bytes <= availableBytes - keptBytes) return;
    throw new LeaseholdError(
      'OUT_OF_MEMORY',
      `${bytes} B are more than can be spared: ${detail}, of which ${keptBytes} B are kept back.`,
      {
        metadata: {
          requestedBytes: String(bytes),
          availableBytes: String(availableBytes),
          reservedBytes: String(keptBytes),
        },
      },
    );
  }
}

interface ChargeParts {
  readonly taken: Taken;
  readonly controlBytes: number;
  readonly reservedBytes: number;
}

/** Opened before the mapping's memory is, settled when it is there, released with it. After that it counts nothing. */
export class Charge {
  readonly #parts: ChargeParts;
  readonly #spare: (bytes: number, unpopulatedBytes: number) => void;
  #kind: PageKind = 'base';
  #segmentBytes = 0;

  constructor(parts: ChargeParts, spare: (bytes: number, unpopulatedBytes: number) => void) {
    this.#parts = parts;
    this.#spare = spare;
  }

  /** What is charged of memory, B. */
  get bytes(): number {
    return this.#parts.taken.amounts.bytes ?? 0;
  }

  /**
   * Before a data segment of this size and kind is taken: instead of what was admitted before, which was not to be had.
   * `unpopulatedBytes` is what other requests were admitted for and the machine still reports as free.
   * @throws {LeaseholdError} QUOTA_EXCEEDED, OUT_OF_MEMORY; what was admitted before still is then
   */
  admit(segmentBytes: number, kind: PageKind, unpopulatedBytes = 0): void {
    // The lock segment, which was admitted with the data. No data is so small the second time: only large pages are not to be had.
    if (this.#segmentBytes > 0 && segmentBytes <= this.#parts.controlBytes && kind === 'base') return;
    this.#admit({ segmentBytes, kind, newBytes: segmentBytes, unpopulatedBytes });
  }

  /** Before the data segment is made larger. As `admit`; `settle` says how it went. */
  grow(moreBytes: number, kind: PageKind, unpopulatedBytes = 0): void {
    this.#admit({ segmentBytes: this.#segmentBytes + moreBytes, kind, newBytes: moreBytes, unpopulatedBytes });
  }

  #admit(wanted: { segmentBytes: number; kind: PageKind; newBytes: number; unpopulatedBytes: number }): void {
    const { segmentBytes, kind, newBytes, unpopulatedBytes } = wanted;
    const { taken } = this.#parts;
    const before = taken.amounts;
    taken.change(this.#amounts(segmentBytes, kind));
    try {
      // Large pages come out of a pool of their own, which refuses by itself.
      if (!isOfPool(kind)) this.#spare(newBytes, unpopulatedBytes);
    } catch (error) {
      taken.settle(before);
      throw error;
    }
    this.#segmentBytes = segmentBytes;
    this.#kind = kind;
  }

  /** From now on the data segment has exactly this many bytes that can be touched, of the kind that was admitted last. */
  settle(segmentBytes: number): void {
    this.#segmentBytes = segmentBytes;
    this.#parts.taken.settle(this.#amounts(segmentBytes, this.#kind));
  }

  release(): void {
    this.#parts.taken.release();
  }

  #amounts(segmentBytes: number, kind: PageKind): Amounts {
    const { controlBytes, reservedBytes } = this.#parts;
    return {
      mappings: 1,
      descriptors: DESCRIPTORS,
      bytes: segmentBytes + controlBytes,
      largePageBytes: isOfPool(kind) ? segmentBytes : 0,
      reservedBytes: Math.max(reservedBytes, segmentBytes),
    };
  }
}

/** Whether such pages come out of a pool that the system keeps for them, and not out of what MemAvailable counts. */
const isOfPool = (kind: PageKind): boolean => kind.startsWith('hugetlb-');
