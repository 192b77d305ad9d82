/**
 * How much memory the broker has promised. Invariant: what is charged never exceeds the quota. Memory that would come from the
 * machine is also checked against what the machine has left, less a reserve and less what other creations were promised and have
 * not populated yet, because running into a control group's limit kills the broker instead of failing.
 */
import { LeaseholdError } from '@leasehold/proto';
import type { PageKind } from '@leasehold/shm-core/internal';
import type { Headroom } from './ports.ts';

export interface QuotaOptions {
  readonly quotaBytes: number;
  readonly reserveBytes: number;
  readonly headroom: () => Headroom;
}

export class MemoryQuota {
  readonly quotaBytes: number;
  readonly #reserveBytes: number;
  readonly #headroom: () => Headroom;
  #chargedBytes = 0;

  constructor(options: QuotaOptions) {
    this.quotaBytes = options.quotaBytes;
    this.#reserveBytes = options.reserveBytes;
    this.#headroom = options.headroom;
  }

  get chargedBytes(): number {
    return this.#chargedBytes;
  }

  /** A charge for one mapping; `controlBytes` is what it needs beside its data segment. */
  open(controlBytes: number): Charge {
    return new Charge(controlBytes, {
      admitMore: (bytes) => this.admitMore(bytes),
      admitPages: (bytes, unpopulatedBytes) => this.#admitPages(bytes, unpopulatedBytes),
      change: (delta) => {
        this.#chargedBytes += delta;
      },
    });
  }

  /** @throws {LeaseholdError} QUOTA_EXCEEDED when this many more bytes would be too many */
  admitMore(bytes: number): void {
    if (this.#chargedBytes + bytes <= this.quotaBytes) return;
    throw new LeaseholdError(
      'QUOTA_EXCEEDED',
      `${bytes} B more would exceed the memory quota of ${this.quotaBytes} B, of which ${this.#chargedBytes} B are taken.`,
      {
        metadata: {
          requestedBytes: String(bytes),
          chargedBytes: String(this.#chargedBytes),
          quotaBytes: String(this.quotaBytes),
        },
      },
    );
  }

  #admitPages(bytes: number, unpopulatedBytes: number): void {
    const keptBytes = this.#reserveBytes + unpopulatedBytes;
    const { availableBytes, detail } = this.#headroom();
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

interface ChargeLedger {
  admitMore(bytes: number): void;
  admitPages(bytes: number, unpopulatedBytes: number): void;
  change(delta: number): void;
}

/** What one mapping takes. Opened before its memory is, settled when it is there, released with it. */
export class Charge {
  readonly #controlBytes: number;
  readonly #ledger: ChargeLedger;
  #bytes = 0;

  constructor(controlBytes: number, ledger: ChargeLedger) {
    this.#controlBytes = controlBytes;
    this.#ledger = ledger;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /**
   * Before a segment is taken. A fallback to other pages asks again for the same segment, so the largest request counts.
   * `unpopulatedBytes` is what other requests were admitted for and the machine still reports as free.
   * @throws {LeaseholdError} QUOTA_EXCEEDED, OUT_OF_MEMORY
   */
  admit(segmentBytes: number, kind: PageKind, unpopulatedBytes = 0): void {
    const needed = Math.max(this.#bytes, segmentBytes + this.#controlBytes);
    this.#ledger.admitMore(needed - this.#bytes);
    // Large pages come out of a pool of their own, which refuses by itself.
    if (kind === 'base' || kind === 'transparent-2m') this.#ledger.admitPages(segmentBytes, unpopulatedBytes);
    this.settle(needed);
  }

  /** From now on exactly this much is taken. */
  settle(bytes: number): void {
    this.#ledger.change(bytes - this.#bytes);
    this.#bytes = bytes;
  }

  release(): void {
    this.settle(0);
  }
}
