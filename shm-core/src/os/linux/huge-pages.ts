/** What the kernel says about its huge pages: which sizes exist, and how full each pool is. Reads sysfs, changes nothing. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { PageKind, PagePool } from '../os.ts';

/** Size of one page of `kind`, B; undefined when the kernel has none. `root` is the file system to read; tests pass a fixture. */
export function hugePageBytes(kind: PageKind, root = '/'): number | undefined {
  const folder = poolFolder(kind, root);
  return folder !== undefined && existsSync(folder) ? HUGE_PAGE_BYTES[kind] : undefined;
}

/** The pool of `kind`; undefined when there is none. */
export function hugePagePool(kind: PageKind, root = '/'): PagePool | undefined {
  const folder = poolFolder(kind, root);
  if (folder === undefined || !existsSync(folder)) return undefined;
  const count = (name: string) => Number(readFileSync(join(folder, name), 'utf8'));
  return {
    totalPages: count('nr_hugepages'),
    freePages: count('free_hugepages'),
    reservedPages: count('resv_hugepages'),
  };
}

const HUGE_PAGE_BYTES: Partial<Record<PageKind, number>> = { 'hugetlb-2m': 2 ** 21, 'hugetlb-1g': 2 ** 30 };

function poolFolder(kind: PageKind, root: string): string | undefined {
  const pageBytes = HUGE_PAGE_BYTES[kind];
  return pageBytes === undefined ? undefined : join(root, `sys/kernel/mm/hugepages/hugepages-${pageBytes / 1024}kB`);
}
