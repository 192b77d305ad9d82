/**
 * Which large pages a request hopes for, and what can be said about each kind before anything is made. Invariants: the order of the checks
 * is part of the contract; nothing is asked of the platform under `never`, nor for what is known without asking.
 */
import type { PageKind, SegmentOs } from '../os/os.ts';
import type { FallbackReason, PageShortage } from './large-pages.ts';

/** Best first. Below them all are base pages. */
export const LargeKinds = ['hugetlb-1g', 'hugetlb-2m', 'transparent-2m'] as const;
export type LargeKind = (typeof LargeKinds)[number];

/** Known without a probe, B. */
const PAGE_BYTES: Readonly<Record<LargeKind, number>> = {
  'hugetlb-1g': 2 ** 30,
  'hugetlb-2m': 2 ** 21,
  'transparent-2m': 2 ** 21,
};
/** Pages of 1 GiB are not worth more than this part of the request, left over at its end. */
const GIGABYTE_WASTE_MAX = 1 / 8;

/** Pages that were looked for, and why they were not granted. */
export interface StepDown {
  readonly pageKind: PageKind;
  readonly reason: FallbackReason;
}

/** The part of a request that the page kind depends on. */
export interface Wanted {
  readonly payloadBytes: number;
  readonly reserveBytes?: number | undefined;
  readonly pages: 'auto' | 'require' | 'never';
}

/** The kinds to try, best first. `require` means hugetlb: transparent pages are a hint that the kernel may take back. */
export function kindsToTry({ payloadBytes, pages }: Wanted): readonly LargeKind[] {
  if (pages === 'never') return [];
  return LargeKinds.filter((kind) => {
    if (kind === 'transparent-2m') return pages === 'auto';
    return kind !== 'hugetlb-1g' || isWorthGigabytes(payloadBytes);
  });
}

function isWorthGigabytes(payloadBytes: number): boolean {
  const pageBytes = PAGE_BYTES['hugetlb-1g'];
  const wastedBytes = pagesNeeded('hugetlb-1g', payloadBytes) * pageBytes - payloadBytes;
  return payloadBytes >= pageBytes && wastedBytes <= payloadBytes * GIGABYTE_WASTE_MAX;
}

export function pagesNeeded(kind: LargeKind, payloadBytes: number): number {
  return Math.ceil(payloadBytes / PAGE_BYTES[kind]);
}

/** What the platform says of a kind: the size of its pages, B, or why there will be none of them. */
export function pageBytesOrReason(
  kind: LargeKind,
  wanted: Wanted,
  os: SegmentOs,
  operator: 'auto' | 'never',
): number | FallbackReason {
  if (operator === 'never') return 'DISABLED';
  if (wanted.pages !== 'require' && wanted.payloadBytes < PAGE_BYTES[kind]) return 'SMALLER_THAN_PAGE';
  // What is populated later would have to be collapsed and looked at while others write to it.
  const grows = (wanted.reserveBytes ?? 0) > wanted.payloadBytes;
  if (kind === 'transparent-2m' && grows) return 'UNSUPPORTED';
  return os.pageBytes(kind) ?? 'UNSUPPORTED';
}

/** What is missing in the pool; null when there is enough, or no pool to look at. */
export function shortageOf(kind: LargeKind, payloadBytes: number, os: SegmentOs): PageShortage | null {
  const pool = os.pagePool(kind);
  const neededPages = pagesNeeded(kind, payloadBytes);
  return pool !== undefined && pool.freePages - pool.reservedPages < neededPages ? { neededPages, pool } : null;
}
