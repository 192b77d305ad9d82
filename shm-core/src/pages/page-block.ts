/**
 * One block of private memory and what is known of it. Invariants: it belongs to one `Pages` object at a time; nothing that JavaScript
 * gets of it reaches past the requested length; its view is made once for each protection.
 */
import { checkAlignment, checkExtent } from '../os/extents.ts';
import { type Advice, type AdviceOutcome, Advices, type PageKind } from '../os/os.ts';
import type { PrivateRange, Protection } from '../os/private-memory.ts';
import type { FallbackReason } from '../segment/large-pages.ts';

/** The size of hugetlb and transparent large pages, B. */
export const LARGE_PAGE_BYTES = 2 ** 21;

/** What was allocated, which may be less than what was wished for. */
export interface PageGrant {
  /** The length asked for, B: what can be viewed. */
  readonly requestedBytes: number;
  /** The same, rounded up to whole pages. */
  readonly mappedBytes: number;
  /** The unit of sizes, protection and giving back, B. */
  readonly pageBytes: number;
  readonly pageKind: PageKind;
  /** Why there are no `hugetlb` pages although `auto` looked for them; null otherwise. */
  readonly fallbackReason: FallbackReason | null;
  /** Whether the memory can never be swapped out. */
  readonly locked: boolean;
}

export class PageBlock {
  readonly range: PrivateRange;
  #grant: PageGrant;
  #whole: Uint8Array<ArrayBuffer> | undefined;
  #wasExecutable = false;
  #transparentWanted = false;

  constructor(range: PrivateRange, grant: PageGrant) {
    this.range = range;
    this.#grant = grant;
  }

  get grant(): PageGrant {
    return this.#grant;
  }

  /** Whether a processor may still hold code that was here. */
  get wasExecutable(): boolean {
    return this.#wasExecutable;
  }

  /** The same view every time, until the protection changes. */
  bytes(): Uint8Array<ArrayBuffer> {
    // Every change of protection detaches it.
    if (this.#whole === undefined || this.#whole.buffer.detached) {
      this.#whole = new Uint8Array(this.range.view(0, this.#grant.requestedBytes));
    }
    return this.#whole;
  }

  bytesOf(offset: number, length: number): Uint8Array<ArrayBuffer> {
    checkExtent(offset, length, this.#grant.requestedBytes);
    return this.bytes().subarray(offset, offset + length);
  }

  words32Of(offset: number, count: number): Uint32Array<ArrayBuffer> {
    checkAlignment(offset, 4);
    checkExtent(offset, count * 4, this.#grant.requestedBytes);
    return new Uint32Array(this.bytes().buffer, offset, count);
  }

  protect(protection: Protection): void {
    this.range.protect(protection);
    if (protection === 'rx') this.#wasExecutable = true;
  }

  advise(advice: Advice): AdviceOutcome {
    if (!Advices.includes(advice)) throw new RangeError(`${String(advice)} is none of ${Advices.join(', ')}`);
    const outcome = this.range.advise(advice);
    if (advice === 'populate') this.lookForTransparent();
    return outcome;
  }

  populate(offset: number, length: number): void {
    checkExtent(offset, length, this.#grant.requestedBytes);
    this.range.populate(offset, length);
  }

  /** Asks for transparent large pages. Whether they came can only be seen once the memory is there. */
  preferTransparent(): void {
    this.#transparentWanted = this.range.preferTransparent() === 'applied';
  }

  /** Only what the kernel reports is believed. Large pages cannot be had where no whole one fits between two multiples of its size. */
  lookForTransparent(): void {
    if (!this.#transparentWanted) return;
    const { address, mappedBytes } = this.range;
    const first = Math.ceil(address / LARGE_PAGE_BYTES);
    const possibleBytes = (Math.floor((address + mappedBytes) / LARGE_PAGE_BYTES) - first) * LARGE_PAGE_BYTES;
    if (possibleBytes <= 0 || this.range.transparentBytes() < possibleBytes) return;
    this.#grant = { ...this.#grant, pageKind: 'transparent-2m' };
  }

  /** Zeroes a part and gives its whole pages back. Returns how much that was, B. */
  decommit(offset: number, length: number): number {
    const { requestedBytes, mappedBytes, pageBytes, pageKind, locked } = this.#grant;
    checkExtent(offset, length, requestedBytes);
    const part = this.bytesOf(offset, length);
    // Large pages are reserved for this block as long as it lives, so that nobody else could use them; locked ones were promised to stay.
    if (locked || pageKind.startsWith('hugetlb')) {
      part.fill(0);
      return 0;
    }
    const start = Math.ceil(offset / pageBytes) * pageBytes;
    // What lies behind the end of the block is nobody's.
    const end = offset + length === requestedBytes ? mappedBytes : offset + length - ((offset + length) % pageBytes);
    if (start >= end) {
      part.fill(0);
      return 0;
    }
    part.subarray(0, start - offset).fill(0);
    if (end - offset < length) part.subarray(end - offset).fill(0);
    this.range.discard(start, end - start);
    // What comes back when it is touched may come in small pages.
    if (pageKind === 'transparent-2m') this.#grant = { ...this.#grant, pageKind: 'base' };
    return end - start;
  }

  release(): void {
    this.range.release();
  }
}
