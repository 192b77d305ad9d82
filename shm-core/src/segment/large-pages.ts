/** Why a request does not get the large pages that it hoped for, and what to tell whoever insisted on them. */
import { OsError, type PagePool } from '../os/os.ts';

/**
 * In the order in which they are looked for. `POOL_EXHAUSTED` of transparent pages means that free memory is too fragmented for them;
 * everything else that keeps the kernel from making them is `UNSUPPORTED`.
 */
export const FallbackReasons = [
  'DISABLED',
  'SMALLER_THAN_PAGE',
  'UNSUPPORTED',
  'QUOTA',
  'POOL_EXHAUSTED',
  'NO_PRIVILEGE',
] as const;
export type FallbackReason = (typeof FallbackReasons)[number];

/** What a refusal by the platform says about large pages; undefined when it says nothing about them. */
export function refusalReason(error: unknown): 'POOL_EXHAUSTED' | 'NO_PRIVILEGE' | 'UNSUPPORTED' | undefined {
  if (!(error instanceof OsError)) return undefined;
  switch (error.code) {
    case 'ENOMEM':
    case 'ENOSPC':
    case 'EFAULT': // Populating a mapping found less than was reserved: a memory cgroup's limit.
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

/** How many pages of one kind would have been needed, and how full their pool was. */
export interface PageShortage {
  /** Pages of 2 MiB unless it is said that they are others. */
  readonly pageKind?: 'hugetlb-1g' | 'hugetlb-2m';
  readonly neededPages: number;
  readonly pool: PagePool | undefined;
}

/** Large pages were required and are not to be had. Speaks of those that were tried last. */
export class LargePagesUnavailable extends Error {
  override readonly name = 'LargePagesUnavailable';
  readonly reason: FallbackReason;
  readonly neededPages: number;
  readonly pool: PagePool | undefined;

  /** `gigabyte`: pages of 1 GiB would have done as well. */
  constructor(reason: FallbackReason, shortage: PageShortage, gigabyte: PageShortage | null, options?: ErrorOptions) {
    const size = shortage.pageKind === 'hugetlb-1g' ? '1 GiB' : '2 MiB';
    const needed = `${counted(shortage.neededPages, size)} are required, but`;
    super(`${needed} ${explain(reason, shortage, gigabyte)}`, options);
    this.reason = reason;
    this.neededPages = shortage.neededPages;
    this.pool = shortage.pool;
  }
}

const counted = (pages: number, size: string): string => `${pages} pages of ${size}`;

function explain(reason: FallbackReason, shortage: PageShortage, gigabyte: PageShortage | null): string {
  switch (reason) {
    case 'DISABLED':
      return 'this broker was started without large pages: start it with `leasehold serve --huge-pages auto`, or ask with pages: auto';
    case 'SMALLER_THAN_PAGE':
      return 'the request is smaller than one of them: ask with pages: auto';
    case 'UNSUPPORTED':
      return 'this system has no such pages (see /sys/kernel/mm/hugepages): ask with pages: auto or never';
    case 'QUOTA':
      return 'they are more than the quota of large pages (largePageBytes) allows: ask for less, or with pages: auto';
    case 'NO_PRIVILEGE':
      return 'this process may not use them: run the broker as a user in the group of vm.hugetlb_shm_group, or ask with pages: auto';
    case 'POOL_EXHAUSTED':
      return `${free(shortage)}: ${shortage.pageKind === 'hugetlb-1g' ? writeOf(shortage) : remedies(shortage, gigabyte)}`;
  }
}

const GIGABYTE_POOL = '/sys/kernel/mm/hugepages/hugepages-1048576kB/nr_hugepages';
const writeOf = ({ neededPages, pool }: PageShortage): string =>
  pool === undefined ? `see ${GIGABYTE_POOL}` : `write ${wantedPages(neededPages, pool)} to ${GIGABYTE_POOL}`;

function free({ pool }: PageShortage): string {
  return pool === undefined ? 'there are not enough' : `${freePages(pool)} of ${pool.totalPages} are free`;
}

function remedies(shortage: PageShortage, gigabyte: PageShortage | null): string {
  const reserved = `leasehold serve --huge-pages-reserve ${shortage.neededPages * 2}MiB`;
  const pool =
    shortage.pool === undefined
      ? ''
      : `\`sysctl vm.nr_hugepages=${wantedPages(shortage.neededPages, shortage.pool)}\`, `;
  const either = `${pool}or start the broker with \`${reserved}\``;
  if (gigabyte?.pool === undefined) return either;
  return `${either}; ${counted(gigabyte.neededPages, '1 GiB')} would do as well: ${writeOf(gigabyte)}`;
}

const freePages = (pool: PagePool): number => Math.max(0, pool.freePages - pool.reservedPages);

/** What the pool must be set to. */
function wantedPages(neededPages: number, pool: PagePool): number {
  return pool.totalPages + Math.max(1, neededPages - freePages(pool));
}
