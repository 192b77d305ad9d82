/** Which large pages we ask for, why a request may not get them, and what to tell whoever insisted. */
import type { PageKind, PagePool } from '../os/os.ts';

/** The one large page kind that is asked for. */
export const LARGE_PAGE_KIND: PageKind = 'hugetlb-2m';
/** Its size, B. Known without a probe. */
export const LARGE_PAGE_BYTES = 2 * 2 ** 20;

export const FallbackReasons = ['SMALLER_THAN_PAGE', 'UNSUPPORTED', 'POOL_EXHAUSTED', 'NO_PRIVILEGE'] as const;
export type FallbackReason = (typeof FallbackReasons)[number];

/** Large pages were required and are not to be had. */
export class LargePagesUnavailable extends Error {
  override readonly name = 'LargePagesUnavailable';
  readonly reason: FallbackReason;
  readonly neededPages: number;
  /** How full the pool was. */
  readonly pool: PagePool | undefined;

  constructor(reason: FallbackReason, neededPages: number, pool: PagePool | undefined, options?: ErrorOptions) {
    super(explain(reason, neededPages, pool), options);
    this.reason = reason;
    this.neededPages = neededPages;
    this.pool = pool;
  }
}

function explain(reason: FallbackReason, neededPages: number, pool: PagePool | undefined): string {
  const needed = `${neededPages} pages of ${LARGE_PAGE_BYTES / 2 ** 20} MiB`;
  switch (reason) {
    case 'SMALLER_THAN_PAGE':
      return 'the request is smaller than one large page';
    case 'UNSUPPORTED':
      return `${needed} are required, but this system has no such pages; ask with pages: auto or never`;
    case 'NO_PRIVILEGE':
      return `${needed} are required, but this process may not use them; see vm.hugetlb_shm_group, or ask with pages: auto`;
    case 'POOL_EXHAUSTED': {
      if (pool === undefined) return `${needed} are required, but there are not enough; ask with pages: auto`;
      const freePages = Math.max(0, pool.freePages - pool.reservedPages);
      const wantedPages = pool.totalPages + Math.max(1, neededPages - freePages);
      return `${needed} are required, but ${freePages} of ${pool.totalPages} are free: sysctl vm.nr_hugepages=${wantedPages}`;
    }
  }
}
