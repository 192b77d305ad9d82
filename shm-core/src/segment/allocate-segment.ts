/**
 * New segments, from a request to a sealed and populated memory object. Invariants: whoever gets a segment can touch all of it without
 * ever meeting SIGBUS; one step of population runs at a time in the process; what fails or is aborted leaves nothing behind; what is
 * reported as granted is what was made.
 */
import { OsError, type OwnedFd, type PageKind, type SegmentOs } from '../os/os.ts';
import { type FallbackReason, LARGE_PAGE_BYTES, LARGE_PAGE_KIND, LargePagesUnavailable } from './large-pages.ts';
import { StepQueue } from './step-queue.ts';

/** Memory populated in one go, B: the delay after which an abort is seen, and for which others wait. */
const POPULATE_STEP_BYTES = 64 * 2 ** 20;

/** Segments from here on are freed by the thread pool. */
const BACKGROUND_CLOSE_BYTES = 4 * 2 ** 20;

/** What was made, which may be less than what was asked for. */
export interface SegmentGrant {
  readonly payloadBytes: number;
  /** `payloadBytes`, rounded up to whole pages. */
  readonly mappedBytes: number;
  readonly pageKind: PageKind;
  readonly pageBytes: number;
  /** Why the pages are base pages although `auto` looked for large ones; null otherwise. */
  readonly fallbackReason: FallbackReason | null;
}

export interface SegmentRequest {
  /** For /proc/…/maps; not unique. */
  readonly label: string;
  /** 1 B or more. */
  readonly payloadBytes: number;
  /** `never` makes no probe for large pages at all; `require` makes their absence an error. */
  readonly pages: 'auto' | 'require' | 'never';
  readonly signal?: AbortSignal;
  /**
   * Throws to refuse, right before memory of this size and kind is taken. Called again for the next kind when `auto` falls back: each
   * call replaces the one before it. `unpopulatedBytes` is base-page memory that other requests were admitted for and have not
   * taken yet, so that MemAvailable still counts it as free.
   */
  readonly admit: (mappedBytes: number, kind: PageKind, unpopulatedBytes: number) => void;
}

/** A populated, sealed segment. Whoever allocated it closes it; mappings of it live on. */
export class Segment {
  readonly fd: OwnedFd;
  readonly grant: SegmentGrant;
  readonly #os: SegmentOs;
  readonly #onFreeing: (freed: Promise<void>) => void;
  #readOnlyFd: OwnedFd | undefined;

  /** `onFreeing` is told when memory is given back in the background. */
  constructor(os: SegmentOs, fd: OwnedFd, grant: SegmentGrant, onFreeing: (freed: Promise<void>) => void) {
    this.#os = os;
    this.fd = fd;
    this.grant = grant;
    this.#onFreeing = onFreeing;
  }

  /** Mapped length, B. */
  get bytes(): number {
    return this.grant.mappedBytes;
  }

  /** The descriptor that readers get; the segment's to close. @throws OsError (EMFILE); Error when closed. */
  readOnlyFd(): OwnedFd {
    this.#readOnlyFd ??= this.#os.openReadOnly(this.fd);
    return this.#readOnlyFd;
  }

  close(): void {
    this.#readOnlyFd?.close();
    // The last reference frees the pages, about 0.2 ms for each MiB.
    if (this.bytes < BACKGROUND_CLOSE_BYTES) this.fd.close();
    else if (!this.fd.closed) this.#onFreeing(this.fd.closeInBackground());
  }
}

export class SegmentAllocator {
  readonly #os: SegmentOs;
  readonly #steps = new StepQueue();
  /** Memory that is being given back, and that the kernel does not count as free yet. */
  readonly #freeing = new Set<Promise<void>>();
  #unpopulatedBytes = 0;

  constructor(os: SegmentOs) {
    this.#os = os;
  }

  /**
   * @throws RangeError for an impossible size; what `admit` throws; the signal's reason; LargePagesUnavailable under `require`;
   *   OsError (ENOMEM, ENOSPC, EMFILE).
   */
  async allocate(request: SegmentRequest): Promise<Segment> {
    const { payloadBytes, pages, signal } = request;
    if (!Number.isSafeInteger(payloadBytes) || payloadBytes < 1) {
      throw new RangeError(`a segment must have a positive whole number of bytes, not ${payloadBytes}`);
    }
    // Who deletes and creates anew must not be told that there is no memory.
    if (this.#freeing.size > 0 && payloadBytes >= BACKGROUND_CLOSE_BYTES) await Promise.all(this.#freeing);
    signal?.throwIfAborted();
    if (pages === 'never') return this.#allocateBase(request, null);
    const large = await this.#allocateLarge(request);
    if (large instanceof Segment) return large;
    if (pages === 'require') throw large;
    return this.#allocateBase(request, large.reason);
  }

  #allocateBase(request: SegmentRequest, fallbackReason: FallbackReason | null): Promise<Segment> {
    const pageBytes = this.#os.basePageBytes;
    return this.#make(request, grantOf(request.payloadBytes, 'base', pageBytes, fallbackReason));
  }

  /** A segment of large pages, or why there is none. The order of the checks is part of the contract. */
  async #allocateLarge(request: SegmentRequest): Promise<Segment | LargePagesUnavailable> {
    const kind = LARGE_PAGE_KIND;
    if (request.pages === 'auto' && request.payloadBytes < LARGE_PAGE_BYTES) {
      return new LargePagesUnavailable('SMALLER_THAN_PAGE', 1, undefined);
    }
    const neededPages = Math.ceil(request.payloadBytes / LARGE_PAGE_BYTES);
    const pageBytes = this.#os.pageBytes(kind);
    if (pageBytes === undefined) return new LargePagesUnavailable('UNSUPPORTED', neededPages, undefined);
    const grant = grantOf(request.payloadBytes, kind, pageBytes, null);
    const pool = this.#os.pagePool(kind);
    if (pool !== undefined && pool.freePages - pool.reservedPages < neededPages) {
      return new LargePagesUnavailable('POOL_EXHAUSTED', neededPages, pool);
    }
    try {
      return await this.#make(request, grant);
    } catch (error) {
      const reason = fallbackReasonOf(error);
      if (reason === undefined) throw error;
      return new LargePagesUnavailable(reason, neededPages, this.#os.pagePool(kind), { cause: error });
    }
  }

  #track(freed: Promise<void>): void {
    this.#freeing.add(freed);
    void freed.then(() => this.#freeing.delete(freed));
  }

  async #make(request: SegmentRequest, grant: SegmentGrant): Promise<Segment> {
    request.admit(grant.mappedBytes, grant.pageKind, this.#unpopulatedBytes);
    const fd = this.#os.create(request.label, grant.mappedBytes, grant.pageKind);
    try {
      await this.#populate(fd, grant, request.signal);
      this.#os.seal(fd);
      return new Segment(this.#os, fd, grant, (freed) => this.#track(freed));
    } catch (error) {
      fd.close();
      throw error;
    }
  }

  async #populate(fd: OwnedFd, grant: SegmentGrant, signal: AbortSignal | undefined): Promise<void> {
    // Large pages come out of a pool of their own; MemAvailable does not count them.
    let pendingBytes = grant.pageKind === 'base' ? grant.mappedBytes : 0;
    this.#unpopulatedBytes += pendingBytes;
    try {
      const stepBytes = Math.max(POPULATE_STEP_BYTES, grant.pageBytes);
      for (let offset = 0; offset < grant.mappedBytes; offset += stepBytes) {
        const bytes = Math.min(stepBytes, grant.mappedBytes - offset);
        await this.#steps.run(() => this.#os.populate(fd, offset, bytes), signal);
        const populatedBytes = Math.min(bytes, pendingBytes);
        pendingBytes -= populatedBytes;
        this.#unpopulatedBytes -= populatedBytes;
      }
      signal?.throwIfAborted();
    } finally {
      this.#unpopulatedBytes -= pendingBytes;
    }
  }
}

/** @throws RangeError when the rounded size is not a number that can be counted with. */
function grantOf(
  payloadBytes: number,
  pageKind: PageKind,
  pageBytes: number,
  fallbackReason: FallbackReason | null,
): SegmentGrant {
  const mappedBytes = Math.ceil(payloadBytes / pageBytes) * pageBytes;
  if (!Number.isSafeInteger(mappedBytes)) {
    throw new RangeError(`a segment of ${payloadBytes} B, rounded up to ${pageBytes} B pages, is too large`);
  }
  return { payloadBytes, mappedBytes, pageKind, pageBytes, fallbackReason };
}

/** What a refusal by the platform says about large pages; undefined when it says nothing about them. */
function fallbackReasonOf(error: unknown): FallbackReason | undefined {
  if (!(error instanceof OsError)) return undefined;
  switch (error.code) {
    case 'ENOMEM':
    case 'ENOSPC':
      return 'POOL_EXHAUSTED';
    case 'EPERM':
    case 'EACCES':
      return 'NO_PRIVILEGE';
    case 'ENODEV':
    case 'EINVAL':
      return 'UNSUPPORTED';
    default:
      return undefined;
  }
}
