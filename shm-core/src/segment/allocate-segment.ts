/**
 * New segments, from a request to a sealed and populated memory object. Invariants: whoever gets a segment can touch all of it without
 * ever meeting SIGBUS; one step of population runs at a time in the process; what fails or is aborted leaves nothing behind; what is
 * reported as granted is what was made.
 */
import { OsError, type PageKind, type ResidentPart, type SegmentOs } from '../os/os.ts';
import { type FallbackReason, LARGE_PAGE_BYTES, LARGE_PAGE_KIND, LargePagesUnavailable } from './large-pages.ts';
import { Populator, type Progress } from './populator.ts';
import { isOfMachine, Segment, type SegmentGrant } from './segment.ts';

/** From here on a request waits for memory that is being given back, B. */
const WORTH_WAITING_BYTES = 4 * 2 ** 20;

export interface SegmentRequest {
  /** For /proc/…/maps; not unique. */
  readonly label: string;
  /** 1 B or more. */
  readonly payloadBytes: number;
  /** What it may grow to, B; absent, or no more than `payloadBytes`: it keeps its size. Costs addresses, no memory. */
  readonly reserveBytes?: number | undefined;
  /** Never swapped out. Large pages never are. */
  readonly locked?: boolean | undefined;
  /** Told after each step of population. */
  readonly onProgress?: Progress | undefined;
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

export class SegmentAllocator {
  readonly #os: SegmentOs;
  readonly #populator: Populator;
  /** Memory that is being given back, and that the kernel does not count as free yet. */
  readonly #freeing = new Set<Promise<void>>();

  constructor(os: SegmentOs) {
    this.#os = os;
    this.#populator = new Populator(os);
  }

  /** Memory of the machine that was promised and is not populated yet: MemAvailable still counts it, B. */
  get unpopulatedBytes(): number {
    return this.#populator.unpopulatedBytes;
  }
  /** All memory that somebody is waiting for, large pages too, B. */
  get promisedBytes(): number {
    return this.#populator.promisedBytes;
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
    if (this.#freeing.size > 0 && payloadBytes >= WORTH_WAITING_BYTES) await Promise.all(this.#freeing);
    signal?.throwIfAborted();
    if (pages === 'never') return this.#allocateBase(request, null);
    const large = await this.#allocateLarge(request);
    if (large instanceof Segment) return large;
    if (pages === 'require') throw large;
    return this.#allocateBase(request, large.reason);
  }

  #allocateBase(request: SegmentRequest, fallbackReason: FallbackReason | null): Promise<Segment> {
    const pageBytes = this.#os.basePageBytes;
    return this.#make(request, grantOf(request, 'base', pageBytes, fallbackReason));
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
    const grant = grantOf(request, kind, pageBytes, null);
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
    request.admit(grant.mappedBytes, grant.pageKind, this.unpopulatedBytes);
    const fd = this.#os.create(request.label, grant.reservedBytes, grant.pageKind);
    let resident: ResidentPart | null = null;
    try {
      const { mappedBytes, pageBytes } = grant;
      const part = { fd, offset: 0, bytes: mappedBytes, pageBytes, ofMachine: isOfMachine(grant.pageKind) };
      await this.#populator.populate(part, request);
      if (request.locked === true && isOfMachine(grant.pageKind)) {
        resident = this.#os.keepResident(fd);
        await resident.extendTo(mappedBytes);
      }
      this.#os.seal(fd);
      const onFreeing = (freed: Promise<void>) => this.#track(freed);
      return new Segment({ os: this.#os, populator: this.#populator, fd, grant, resident, onFreeing });
    } catch (error) {
      resident?.release();
      fd.close();
      throw error;
    }
  }
}

/** @throws RangeError when the rounded size is not a number that can be counted with. */
function grantOf(
  request: SegmentRequest,
  pageKind: PageKind,
  pageBytes: number,
  fallbackReason: FallbackReason | null,
): SegmentGrant {
  const { payloadBytes, reserveBytes = 0, locked = false } = request;
  const mappedBytes = wholePages(payloadBytes, pageBytes);
  const reservedBytes = Math.max(mappedBytes, wholePages(reserveBytes, pageBytes));
  const resident = locked || !isOfMachine(pageKind);
  return { payloadBytes, mappedBytes, reservedBytes, pageKind, pageBytes, fallbackReason, locked: resident };
}

function wholePages(bytes: number, pageBytes: number): number {
  const rounded = Math.ceil(bytes / pageBytes) * pageBytes;
  if (Number.isSafeInteger(rounded)) return rounded;
  throw new RangeError(`a segment of ${bytes} B, rounded up to ${pageBytes} B pages, is too large`);
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
