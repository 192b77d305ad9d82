/**
 * New segments, from a request to a sealed and populated memory object. Invariants: whoever gets a segment can touch all of it without
 * ever meeting SIGBUS; one long step of population runs at a time in the process; what fails or is aborted leaves nothing behind; what is
 * reported as granted is what was made.
 */
import type { CollapseOutcome, OwnedFd, PageKind, PagePool, ResidentPart, SegmentOs } from '../os/os.ts';
import { type FallbackReason, LargePagesUnavailable, refusalReason } from './large-pages.ts';
import { type PartOfSegment, Populator, type Progress } from './populator.ts';
import { freeInBackground, isOfMachine, Segment, type SegmentGrant } from './segment.ts';
import { kindsToTry, type LargeKind, pageBytesOrReason, pagesNeeded, type StepDown, shortageOf } from './tiers.ts';

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
  /** Where its memory should be, as a preference. */
  readonly numaNode?: number | undefined;
  /** Told after each step of population. */
  readonly onProgress?: Progress | undefined;
  /** `never` makes no probe for large pages at all; `require` makes their absence an error. */
  readonly pages: 'auto' | 'require' | 'never';
  readonly signal?: AbortSignal;
  /**
   * Throws to refuse, right before memory of this size and kind is looked for and taken; with a property `fallback` of `QUOTA` when only such
   * large pages are too many. Called again for the next kind when that is tried: each call replaces the one before it. `unpopulatedBytes` is base-page memory that other requests were admitted for and have not
   * taken yet, so that MemAvailable still counts it as free.
   */
  readonly admit: (mappedBytes: number, kind: PageKind, unpopulatedBytes: number) => void;
}

export class SegmentAllocator {
  readonly #os: SegmentOs;
  readonly #largePages: 'auto' | 'never';
  readonly #populator: Populator;
  /** Memory that is being given back, and that the kernel does not count as free yet. */
  readonly #freeing = new Set<Promise<void>>();

  /** `largePages`: whether there may be any at all; `never` is the operator's word, and goes before what a request says. */
  constructor(os: SegmentOs, { largePages = 'auto' }: { readonly largePages?: 'auto' | 'never' } = {}) {
    this.#os = os;
    this.#largePages = largePages;
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
    const stepDowns: StepDown[] = [];
    const refusals = new Map<LargeKind, Refusal>();
    for (const kind of kindsToTry(request)) {
      const made = await this.#tryLarge(request, kind, stepDowns);
      if (made instanceof Segment) return made;
      stepDowns.push({ pageKind: kind, reason: made.reason });
      refusals.set(kind, made);
    }
    if (pages === 'require') throw unavailable(request, refusals);
    return this.#make(request, grantOf(request, 'base', this.#os.basePageBytes, stepDowns));
  }

  /** A segment of pages of this kind, or why there is none. Where transparent pages come to nothing, it is made and of base pages. */
  async #tryLarge(
    request: SegmentRequest,
    kind: LargeKind,
    stepDowns: readonly StepDown[],
  ): Promise<Segment | Refusal> {
    const pageBytes = pageBytesOrReason(kind, request, this.#os, this.#largePages);
    if (typeof pageBytes !== 'number') return { reason: pageBytes };
    const grant = grantOf(request, kind, pageBytes, stepDowns);
    try {
      this.#admit(request, grant);
    } catch (error) {
      if (!isQuotaOfLargePages(error)) throw error;
      return { reason: 'QUOTA', cause: error };
    }
    const shortage = shortageOf(kind, hopedBytes(request), this.#os);
    if (shortage !== null) return { reason: 'POOL_EXHAUSTED', pool: shortage.pool };
    try {
      return await this.#makeAdmitted(request, grant);
    } catch (error) {
      const reason = kind === 'transparent-2m' ? undefined : refusalReason(error);
      if (reason === undefined) throw error;
      return { reason, cause: error, pool: this.#os.pagePool(kind) };
    }
  }

  /** One after the other: what is wanted now must not wait for threads of the pool that give memory back. */
  #free(fd: OwnedFd, resident: ResidentPart | null): Promise<void> {
    const before = [...this.#freeing].at(-1);
    const free = () => freeInBackground(fd, resident);
    const freed = before === undefined ? free() : before.then(free);
    this.#freeing.add(freed);
    void freed.then(() => this.#freeing.delete(freed));
    return freed;
  }

  #make(request: SegmentRequest, grant: SegmentGrant): Promise<Segment> {
    this.#admit(request, grant);
    return this.#makeAdmitted(request, grant);
  }

  #admit(request: SegmentRequest, { mappedBytes, pageKind }: SegmentGrant): void {
    request.admit(mappedBytes, pageKind, this.unpopulatedBytes);
  }

  async #makeAdmitted(request: SegmentRequest, hoped: SegmentGrant): Promise<Segment> {
    const fd = this.#os.create(request.label, hoped.reservedBytes, hoped.pageKind);
    let resident: ResidentPart | null = null;
    try {
      const numa = request.numaNode === undefined ? null : this.#os.preferNode(fd, request.numaNode);
      const grant = { ...(await this.#populate(fd, hoped, request)), numa };
      if (request.locked === true && isOfMachine(grant.pageKind)) {
        resident = this.#os.keepResident(fd);
        await this.#populator.keep(resident, wholeOf(fd, grant), request.signal);
      }
      request.signal?.throwIfAborted();
      this.#os.seal(fd);
      const free = () => void this.#free(fd, resident);
      return new Segment({ os: this.#os, populator: this.#populator, fd, grant, resident, free });
    } catch (error) {
      // Whoever is told that there is nothing finds that all of it was given back.
      await this.#free(fd, resident);
      throw error;
    }
  }

  /** @returns what is granted then */
  async #populate(fd: OwnedFd, hoped: SegmentGrant, request: SegmentRequest): Promise<SegmentGrant> {
    const { pageKind } = hoped;
    const part = wholeOf(fd, hoped);
    if (pageKind !== 'transparent-2m') {
      await this.#populator.populate(part, request);
      return hoped;
    }
    let outcome: CollapseOutcome = 'collapsed';
    const beforeStep = async (offset: number, bytes: number): Promise<void> => {
      if (outcome === 'collapsed') outcome = await this.#os.collapse(fd, offset, bytes);
    };
    const { signal, onProgress } = request;
    await this.#populator.populate(part, { signal, onProgress, beforeStep });
    const reason = TRANSPARENT_REASON[outcome];
    if (reason === null && (await this.#os.isCollapsed(fd))) return hoped;
    // What is there is good memory, and admitted: it is not made anew only to be some pages smaller.
    const stepDowns = [...hoped.stepDowns, { pageKind, reason: reason ?? 'UNSUPPORTED' }];
    return { ...hoped, pageKind: 'base', pageBytes: this.#os.basePageBytes, stepDowns };
  }
}

/** What the pool should have: a mapping that is to grow would be stuck with a kind of which there is not enough, unless it insists. */
function hopedBytes({ payloadBytes, reserveBytes = 0, pages }: SegmentRequest): number {
  return pages === 'auto' ? Math.max(payloadBytes, reserveBytes) : payloadBytes;
}

/** All that a new segment has. */
function wholeOf(fd: OwnedFd, { mappedBytes, pageBytes, pageKind }: SegmentGrant): PartOfSegment {
  return { fd, offset: 0, bytes: mappedBytes, pageBytes, ofMachine: isOfMachine(pageKind) };
}

/** Why there is no segment of some kind of pages. */
interface Refusal {
  readonly reason: FallbackReason;
  readonly cause?: unknown;
  readonly pool?: PagePool | undefined;
}

const TRANSPARENT_REASON: Readonly<Record<CollapseOutcome, FallbackReason | null>> = {
  collapsed: null,
  fragmented: 'POOL_EXHAUSTED',
  refused: 'UNSUPPORTED',
};

/** What to throw under `require`. */
function unavailable({ payloadBytes }: SegmentRequest, refusals: ReadonlyMap<LargeKind, Refusal>): unknown {
  const { reason, pool, cause } = refusals.get('hugetlb-2m') ?? { reason: 'UNSUPPORTED' };
  if (reason === 'QUOTA') return cause;
  const gigabyte = refusals.get('hugetlb-1g');
  return new LargePagesUnavailable(
    reason,
    { neededPages: pagesNeeded('hugetlb-2m', payloadBytes), pool },
    gigabyte === undefined ? null : { neededPages: pagesNeeded('hugetlb-1g', payloadBytes), pool: gigabyte.pool },
    { cause },
  );
}

/** @throws RangeError when the rounded size is not a number that can be counted with. */
function grantOf(
  request: SegmentRequest,
  pageKind: PageKind,
  pageBytes: number,
  stepDowns: readonly StepDown[],
): SegmentGrant {
  const { payloadBytes, reserveBytes = 0, locked = false } = request;
  const mappedBytes = wholePages(payloadBytes, pageBytes);
  const reservedBytes = Math.max(mappedBytes, wholePages(reserveBytes, pageBytes));
  const fallbackReason = stepDowns.find((step) => step.pageKind === 'hugetlb-2m')?.reason ?? null;
  const size = { payloadBytes, mappedBytes, reservedBytes, pageKind, pageBytes };
  return { ...size, fallbackReason, stepDowns: [...stepDowns], locked: locked || !isOfMachine(pageKind), numa: null };
}

function wholePages(bytes: number, pageBytes: number): number {
  const rounded = Math.ceil(bytes / pageBytes) * pageBytes;
  if (Number.isSafeInteger(rounded)) return rounded;
  throw new RangeError(`a segment of ${bytes} B, rounded up to ${pageBytes} B pages, is too large`);
}

/** Whether `admit` refused large pages only: under `auto`, smaller ones may do. */
function isQuotaOfLargePages(error: unknown): boolean {
  return error instanceof Error && 'fallback' in error && error.fallback === 'QUOTA';
}
