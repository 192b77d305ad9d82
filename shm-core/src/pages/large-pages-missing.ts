/** The error for large pages that were required and are not to be had: without a broker, so it speaks of the machine alone. */
import type { PagePool } from '../os/os.ts';
import type { FallbackReason } from '../segment/large-pages.ts';

/** What can stand in the way of large pages where nobody administers them. */
export type MissingReason = Extract<
  FallbackReason,
  'SMALLER_THAN_PAGE' | 'UNSUPPORTED' | 'POOL_EXHAUSTED' | 'NO_PRIVILEGE'
>;

/** Large pages were required, and why there are none. */
export class LargePagesMissingError extends Error {
  override readonly name = 'LargePagesMissingError';
  readonly reason: MissingReason;
  readonly neededPages: number;
  /** How full the kernel's pool was; undefined when it has none. */
  readonly pool: PagePool | undefined;

  constructor(reason: MissingReason, neededPages: number, pool: PagePool | undefined, options?: ErrorOptions) {
    super(`${neededPages} pages of 2 MiB are required, but ${explain(reason, neededPages, pool)}`, options);
    this.reason = reason;
    this.neededPages = neededPages;
    this.pool = pool;
  }
}

function explain(reason: MissingReason, neededPages: number, pool: PagePool | undefined): string {
  switch (reason) {
    case 'SMALLER_THAN_PAGE':
      return 'the block is smaller than one of them: allocate it with pages: auto';
    case 'UNSUPPORTED':
      return 'this system has no such pages: allocate with pages: auto or never';
    case 'NO_PRIVILEGE':
      return 'this process may not use them: see vm.hugetlb_shm_group, or allocate with pages: auto';
    case 'POOL_EXHAUSTED': {
      if (pool === undefined) return 'there are not enough: allocate with pages: auto';
      const freePages = Math.max(0, pool.freePages - pool.reservedPages);
      const wantedPages = pool.totalPages + Math.max(1, neededPages - freePages);
      return `${freePages} of ${pool.totalPages} are free: sysctl vm.nr_hugepages=${wantedPages}`;
    }
  }
}
