/** Private memory with typed permissions, usable by itself: `@leasehold/shm-core/pages`. */
import { privateMemory } from './os/linux/private-pages.ts';
import { type AllocateOptions, allocatePages } from './pages/allocate-pages.ts';
import type { PageAccess, Pages as PagesOf } from './pages/page-types.ts';
import { writablePages } from './pages/typed-pages.ts';

export { type Advice, type AdviceOutcome, OsError, type PageKind } from './os/os.ts';
export type { AllocateOptions } from './pages/allocate-pages.ts';
export { LargePagesMissingError } from './pages/large-pages-missing.ts';
export { type PageAccess, type PagesMemory, UsedPagesError } from './pages/page-types.ts';
export type { ReadonlyBytes } from './pages/readonly-bytes.ts';
export type { FallbackReason } from './segment/large-pages.ts';

/** Pages that may be written (`rw`), only read (`r`), or neither (`none`). */
export type Pages<Access extends PageAccess> = PagesOf<Access>;

export const Pages = {
  /**
   * New zeroed memory of this process alone. Base pages are taken when they are touched, large and locked ones at once, on this thread.
   * @throws RangeError for a size that is not a positive whole number, or too large to count with; LargePagesMissingError when large pages
   *   are required and not to be had; OsError (ENOMEM: there is no memory, or RLIMIT_MEMLOCK is in the way).
   */
  allocate(bytes: number, options: AllocateOptions = {}): Pages<'rw'> {
    return writablePages(allocatePages(privateMemory(), bytes, options));
  },
} as const;
