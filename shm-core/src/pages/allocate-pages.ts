/**
 * New blocks of private memory. Invariants: sizes are checked before any system call; `never` asks nothing about large pages; what fails
 * leaves nothing mapped; what is reported is what was made.
 */
import type { PageKind } from '../os/os.ts';
import type { PrivateMemory, PrivateRange } from '../os/private-memory.ts';
import { refusalReason } from '../segment/large-pages.ts';
import { LargePagesMissingError, type MissingReason } from './large-pages-missing.ts';
import { LARGE_PAGE_BYTES, PageBlock } from './page-block.ts';

export interface AllocateOptions {
  /**
   * `auto` looks for 2 MiB pages and says in `fallbackReason` why there are none; `require` makes their absence an error; `never`, the
   * default, does not look.
   */
  readonly pages?: 'never' | 'auto' | 'require';
  /** Brings everything into memory and keeps it from being swapped out. Default false. */
  readonly locked?: boolean;
}

/** @throws RangeError for an impossible size; LargePagesMissingError under `require`; OsError (ENOMEM, EPERM). */
export function allocatePages(memory: PrivateMemory, bytes: number, options: AllocateOptions = {}): PageBlock {
  const { pages = 'never', locked = false } = options;
  if (!Number.isSafeInteger(bytes) || bytes < 1) {
    throw new RangeError(`pages must have a positive whole number of bytes, not ${bytes}`);
  }
  if (pages === 'never') return allocateBase(memory, bytes, null, locked);
  if (pages !== 'auto' && pages !== 'require') throw new RangeError(`pages: never, auto or require, not ${pages}`);
  const large = allocateLarge(memory, bytes, pages);
  if (large instanceof PageBlock) return large;
  if (pages === 'require') throw large;
  return allocateBase(memory, bytes, large.reason, locked);
}

function allocateBase(
  memory: PrivateMemory,
  requestedBytes: number,
  fallbackReason: MissingReason | null,
  locked: boolean,
): PageBlock {
  const pageBytes = basePageBytes(memory);
  const mappedBytes = roundUp(requestedBytes, pageBytes);
  const range = memory.map(mappedBytes, 'base');
  const block = new PageBlock(range, {
    requestedBytes,
    mappedBytes,
    pageBytes,
    pageKind: 'base',
    fallbackReason,
    locked,
  });
  return releasedOnFailure(range, () => {
    // Before the first touch, which is when the kernel decides.
    if (fallbackReason !== null && fallbackReason !== 'SMALLER_THAN_PAGE') block.preferTransparent();
    if (!locked) return block;
    range.lock();
    block.lookForTransparent();
    return block;
  });
}

/** A block of large pages, or why there is none. The order of the checks is that of shared segments. */
function allocateLarge(
  memory: PrivateMemory,
  requestedBytes: number,
  pages: 'auto' | 'require',
): PageBlock | LargePagesMissingError {
  if (pages === 'auto' && requestedBytes < LARGE_PAGE_BYTES) {
    return new LargePagesMissingError('SMALLER_THAN_PAGE', 1, undefined);
  }
  const pageKind: PageKind = 'hugetlb-2m';
  const neededPages = Math.ceil(requestedBytes / LARGE_PAGE_BYTES);
  const pageBytes = memory.pageBytes(pageKind);
  if (pageBytes === undefined) return new LargePagesMissingError('UNSUPPORTED', neededPages, undefined);
  const mappedBytes = roundUp(requestedBytes, pageBytes);
  const pool = memory.pagePool(pageKind);
  if (pool !== undefined && pool.freePages - pool.reservedPages < neededPages) {
    return new LargePagesMissingError('POOL_EXHAUSTED', neededPages, pool);
  }
  try {
    const range = memory.map(mappedBytes, pageKind);
    // Large pages are never swapped out: there is nothing to lock.
    const grant = { requestedBytes, mappedBytes, pageBytes, pageKind, fallbackReason: null, locked: true };
    return new PageBlock(range, grant);
  } catch (error) {
    const reason = refusalReason(error);
    if (reason === undefined) throw error;
    return new LargePagesMissingError(reason, neededPages, memory.pagePool(pageKind), { cause: error });
  }
}

function releasedOnFailure<T>(range: PrivateRange, use: () => T): T {
  try {
    return use();
  } catch (error) {
    range.release();
    throw error;
  }
}

function basePageBytes(memory: PrivateMemory): number {
  const pageBytes = memory.pageBytes('base');
  if (pageBytes === undefined) throw new Error('this platform has no base pages');
  return pageBytes;
}

/** @throws RangeError when the rounded size is not a number that can be counted with. */
function roundUp(bytes: number, pageBytes: number): number {
  const rounded = Math.ceil(bytes / pageBytes) * pageBytes;
  if (Number.isSafeInteger(rounded)) return rounded;
  throw new RangeError(`${bytes} B, rounded up to pages of ${pageBytes} B, is too large`);
}
