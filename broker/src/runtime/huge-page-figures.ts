/**
 * How full the kernel's pools of large pages are. Invariant: sysfs is read at most once a second, however many ask. An operator may
 * have added a size in between, or a container taken sysfs away: what cannot be read is not there.
 */
import { hugePageBytes, hugePagePool } from '@leasehold/shm-core/internal';

const READ_INTERVAL_MS = 1_000;

/** Large pages that come out of a pool of their own. */
export const PoolPageKinds = ['hugetlb-2m', 'hugetlb-1g'] as const;
export type PoolPageKind = (typeof PoolPageKinds)[number];

export interface HugePageFigures {
  readonly pageKind: PoolPageKind;
  readonly pageBytes: number;
  readonly totalPages: number;
  readonly freePages: number;
  /** Promised and not taken yet: counted as free, too. */
  readonly reservedPages: number;
}

/** One for each size that the kernel has. `root` is the file system to read; tests pass a fixture. */
export function readHugePageFigures(root = '/'): readonly HugePageFigures[] {
  return PoolPageKinds.flatMap((pageKind) => {
    try {
      const pageBytes = hugePageBytes(pageKind, root);
      const pool = hugePagePool(pageKind, root);
      if (pageBytes === undefined || pool === undefined) return [];
      const { totalPages, freePages, reservedPages } = pool;
      return { pageKind, pageBytes, totalPages, freePages, reservedPages };
    } catch {
      return [];
    }
  });
}

/** The figures of at most a second ago, by a clock that only rises, ms. */
export function hugePageGauge(
  nowMs: () => number = () => performance.now(),
  read: () => readonly HugePageFigures[] = readHugePageFigures,
): () => readonly HugePageFigures[] {
  let last: { readonly atMs: number; readonly figures: readonly HugePageFigures[] } | undefined;
  return () => {
    const atMs = nowMs();
    if (last === undefined || atMs - last.atMs >= READ_INTERVAL_MS) last = { atMs, figures: read() };
    return last.figures;
  };
}
