/**
 * A sealed memory object of which a part, from its start, is populated. Invariants: whoever touches what is populated never meets SIGBUS;
 * growing and shrinking that part is one thing at a time, and what fails leaves a size whose memory is there.
 */
import { OsError, type OwnedFd, type PageKind, type ResidentPart, type SegmentOs } from '../os/os.ts';
import { type FallbackReason, LargePagesUnavailable } from './large-pages.ts';
import type { PartOfSegment, PopulateOptions, Populator } from './populator.ts';
import type { StepDown } from './tiers.ts';

/** Segments from here on are freed by the thread pool. */
const BACKGROUND_CLOSE_BYTES = 4 * 2 ** 20;

/** What was made, which may be less than what was asked for. */
export interface SegmentGrant {
  /** What may be used now, B. */
  readonly payloadBytes: number;
  /** What is populated: `payloadBytes`, rounded up to whole pages. */
  readonly mappedBytes: number;
  /** What it can grow to without being mapped anew, in whole pages, B; `mappedBytes` when it cannot. */
  readonly reservedBytes: number;
  readonly pageKind: PageKind;
  readonly pageBytes: number;
  /** Why there are no hugetlb pages of 2 MiB; null when these or larger ones were granted, and when none were looked for. */
  readonly fallbackReason: FallbackReason | null;
  /** Every kind of pages that was looked for before this one, best first, and why it is not granted. */
  readonly stepDowns: readonly StepDown[];
  /** Whether it is never swapped out. */
  readonly locked: boolean;
  /** What became of the preferred NUMA node; null when none was asked for. */
  readonly numa: 'preferred' | 'unsupported' | null;
}

export interface SegmentParts {
  readonly os: SegmentOs;
  readonly populator: Populator;
  readonly fd: OwnedFd;
  readonly grant: SegmentGrant;
  /** Null: nothing has to be done, or nothing was asked, to keep it in memory. */
  readonly resident: ResidentPart | null;
  /** Gives all of it back in the background. */
  readonly free: () => void;
}

/** Whoever allocated it closes it; mappings of it live on. */
export class Segment {
  readonly fd: OwnedFd;
  readonly #parts: SegmentParts;
  #grant: SegmentGrant;
  /** Growing or shrinking: the descriptor must stay open until it settles. */
  #busy: Promise<unknown> | null = null;
  /** What is being populated, B; 0 when nothing is. */
  #comingBytes = 0;
  #closed = false;

  constructor(parts: SegmentParts) {
    this.#parts = parts;
    this.#grant = parts.grant;
    this.fd = parts.fd;
  }

  get grant(): SegmentGrant {
    return this.#grant;
  }
  /** Length that is mapped, B: the whole reservation. */
  get bytes(): number {
    return this.#grant.reservedBytes;
  }
  /** What it takes of the machine, or of a pool; what is just being populated counts. B. */
  get takenBytes(): number {
    return this.#grant.mappedBytes + this.#comingBytes;
  }
  get closed(): boolean {
    return this.#closed;
  }

  /** A descriptor for a reader; the caller's to close. @throws OsError (EMFILE); Error when closed. */
  openReadOnly(): OwnedFd {
    return this.#parts.os.openReadOnly(this.fd);
  }

  /**
   * Populates up to `payloadBytes`, which is more than there are now. A failure leaves what was.
   * @throws RangeError beyond the reservation; OsError (ENOMEM, ENOSPC); LargePagesUnavailable when their pool is short; the signal's reason; Error when it is busy or closed.
   */
  grow(payloadBytes: number, options: PopulateOptions = {}): Promise<void> {
    const { mappedBytes, reservedBytes } = this.#grant;
    const neededBytes = this.pagesFor(payloadBytes);
    if (!(payloadBytes >= this.#grant.payloadBytes) || neededBytes > reservedBytes) {
      throw new RangeError(
        `a segment of ${this.#grant.payloadBytes} B in ${reservedBytes} B cannot grow to ${payloadBytes} B`,
      );
    }
    return this.#exclusively(async () => {
      const part = this.#part(mappedBytes, neededBytes);
      this.#checkPool(part.bytes);
      this.#comingBytes = part.bytes;
      try {
        if (part.bytes > 0) await this.#parts.populator.populate(part, this.#clearing(options));
        await this.#keep(part, options.signal);
      } catch (error) {
        // What cannot be unlocked is given back all the same.
        await this.#parts.resident?.reduceTo(mappedBytes).catch(() => undefined);
        if (part.bytes > 0) await this.#parts.populator.discard(part);
        throw this.#poolShort(part.bytes, error) ?? error;
      } finally {
        this.#comingBytes = 0;
      }
      this.#grant = { ...this.#grant, payloadBytes, mappedBytes: neededBytes };
    });
  }

  /** Whoever has it mapped may have touched what was only reserved: that is not zero, and nobody was charged for it. */
  #clearing(options: PopulateOptions): PopulateOptions {
    const { os } = this.#parts;
    if (os.allocatedBytes(this.fd) <= this.#grant.mappedBytes) return options;
    return { ...options, beforeStep: (offset, bytes) => os.discard(this.fd, offset, bytes) };
  }

  async #keep(part: PartOfSegment, signal?: AbortSignal): Promise<void> {
    const { resident, populator } = this.#parts;
    if (resident !== null) await populator.keep(resident, part, signal);
  }

  /** Before others are left without a page only to find that there were not enough. @throws LargePagesUnavailable */
  #checkPool(bytes: number): void {
    const { pageKind, pageBytes, mappedBytes } = this.#grant;
    const pool = isOfMachine(pageKind) ? undefined : this.#parts.os.pagePool(pageKind);
    if (pool === undefined || bytes === 0) return;
    // Of what somebody has touched beyond the payload, all comes back first.
    const strayBytes = Math.max(0, this.#parts.os.allocatedBytes(this.fd) - mappedBytes);
    const freePages = pool.freePages - pool.reservedPages + strayBytes / pageBytes;
    if (freePages < bytes / pageBytes) throw this.#poolShortage(bytes);
  }

  /** Of pages that come out of a pool: that there are not enough, and what to do. */
  #poolShort(bytes: number, cause: unknown): LargePagesUnavailable | null {
    if (isOfMachine(this.#grant.pageKind) || !(cause instanceof OsError)) return null;
    return ['ENOMEM', 'ENOSPC'].includes(cause.code) ? this.#poolShortage(bytes, cause) : null;
  }

  #poolShortage(bytes: number, cause?: unknown): LargePagesUnavailable {
    const { pageKind, pageBytes } = this.#grant;
    const pool = this.#parts.os.pagePool(pageKind);
    const kind = pageKind === 'hugetlb-1g' ? pageKind : 'hugetlb-2m';
    const shortage = { pageKind: kind, neededPages: bytes / pageBytes, pool } as const;
    return new LargePagesUnavailable('POOL_EXHAUSTED', shortage, null, { cause });
  }

  /**
   * Gives back what lies beyond `payloadBytes`: at least 1, and fewer than there are now. Whole pages go to the machine, and the rest of
   * the last page reads as zero. @returns the payload that is there then: more than asked when `failure` says why not all went, B.
   * @throws RangeError; Error when it is busy or closed.
   */
  shrink(payloadBytes: number): Promise<{ readonly payloadBytes: number; readonly failure: unknown }> {
    const { mappedBytes, payloadBytes: there } = this.#grant;
    if (!Number.isSafeInteger(payloadBytes) || payloadBytes < 1 || payloadBytes > there) {
      throw new RangeError(`a segment of ${there} B cannot shrink to ${payloadBytes} B`);
    }
    return this.#exclusively(async () => {
      this.#countAsBasePages();
      const keptBytes = this.pagesFor(payloadBytes);
      await this.#parts.resident?.reduceTo(keptBytes);
      const { endsAt, failure } = await this.#parts.populator.discard(this.#part(payloadBytes, mappedBytes));
      const left = failure === null ? payloadBytes : Math.min(there, endsAt);
      this.#grant = { ...this.#grant, payloadBytes: left, mappedBytes: this.pagesFor(left) };
      if (failure !== null) await this.#keep(this.#part(keptBytes, this.#grant.mappedBytes));
      return { payloadBytes: left, failure };
    });
  }

  /**
   * The kernel splits a transparent page of which a part is given back, and what grows there again is not one by itself: what was once made
   * smaller is vouched for as base pages only.
   */
  #countAsBasePages(): void {
    const { pageKind, stepDowns } = this.#grant;
    if (pageKind !== 'transparent-2m') return;
    const split: StepDown = { pageKind, reason: 'UNSUPPORTED' };
    const pageBytes = this.#parts.os.basePageBytes;
    this.#grant = { ...this.#grant, pageKind: 'base', pageBytes, stepDowns: [...stepDowns, split] };
  }

  /** `payloadBytes` in whole pages, B. */
  pagesFor(payloadBytes: number): number {
    return Math.ceil(payloadBytes / this.#grant.pageBytes) * this.#grant.pageBytes;
  }

  #part(from: number, to: number): PartOfSegment {
    const { pageBytes, pageKind } = this.#grant;
    return { fd: this.fd, offset: from, bytes: to - from, pageBytes, ofMachine: isOfMachine(pageKind) };
  }

  #exclusively<Result>(work: () => Promise<Result>): Promise<Result> {
    if (this.#busy !== null || this.#closed) {
      throw new Error(this.#closed ? 'the segment is closed' : 'the segment is being resized');
    }
    const working = work().finally(() => {
      this.#busy = null;
    });
    this.#busy = working.catch(() => undefined);
    return working;
  }

  /** Idempotent. What is being resized is closed when that is over. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#busy === null) this.#free();
    else void this.#busy.then(() => this.#free());
  }

  #free(): void {
    const { resident, free } = this.#parts;
    // The last reference frees the pages, about 0.2 ms for each MiB, and those too that somebody touched beyond what was populated.
    if (resident === null && this.#grant.reservedBytes < BACKGROUND_CLOSE_BYTES) this.fd.close();
    else free();
  }
}

/** Gives memory back without stopping this thread. Resolves when that is over, however it went: there is nobody to tell. */
export async function freeInBackground(fd: OwnedFd, resident: ResidentPart | null): Promise<void> {
  await Promise.allSettled([resident?.release(), fd.closeInBackground()]);
}

/** Whether such pages come out of what MemAvailable counts. */
export function isOfMachine(kind: PageKind): boolean {
  return kind === 'base' || kind === 'transparent-2m';
}
