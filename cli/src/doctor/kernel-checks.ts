/** What the kernel can do, and what it keeps of large pages. Reads files below a given root, so that tests use fixtures; changes nothing. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { HugePageFigures } from '@leasehold/broker';
import { formatBytes } from '../program/output.ts';
import { type Check, fail, ok, warn } from './check.ts';

/** What is missing before which release, oldest first. */
const FEATURES = [
  { since: [5, 3], name: 'pidfd', needed: true, without: 'the broker cannot tell when a process is gone' },
  { since: [5, 14], name: 'MADV_POPULATE_WRITE', needed: false, without: 'the hint populate is unsupported' },
  { since: [6, 1], name: 'MADV_COLLAPSE', needed: false, without: 'transparent large pages depend on shmem_enabled' },
  { since: [6, 3], name: 'MFD_NOEXEC_SEAL', needed: false, without: 'segments are not sealed against execution' },
] as const;

/** With other base pages than 4 KiB, as on some arm64 kernels, they have another size. */
const TRANSPARENT_PAGE_BYTES = 2 ** 21;

type Release = readonly [major: number, minor: number];

/** `release`: as `uname -r` prints it. */
export function checkKernel(release: string): Check {
  const name = 'kernel';
  const [, major, minor] = /^(\d+)\.(\d+)/.exec(release) ?? [];
  if (major === undefined) return warn(name, `release ${release}, which tells no version`, 'use Linux 6.3 or later');
  const own: Release = [Number(major), Number(minor)];
  const missing = FEATURES.filter(({ since }) => isOlder(own, since));
  if (missing.length === 0) return ok(name, `Linux ${release}: memfd, ${FEATURES.map((each) => each.name).join(', ')}`);
  const found = `Linux ${release}: ${missing.map(({ name: lacks, without }) => `no ${lacks}, so ${without}`).join('; ')}`;
  return (missing.some(({ needed }) => needed) ? fail : warn)(name, found, 'use Linux 6.3 or later');
}

const isOlder = ([major, minor]: Release, [sinceMajor, sinceMinor]: Release): boolean =>
  major < sinceMajor || (major === sinceMajor && minor < sinceMinor);

/** A pool and, when a broker answers, the pages of its mappings there. */
export type PoolToCheck = Omit<HugePageFigures, 'pageBytes'> & { readonly ourPages?: number };

/** Both sizes, those too that the kernel does not have. */
export function checkHugePages(pools: readonly PoolToCheck[]): Check[] {
  const of = (kind: PoolToCheck['pageKind']) => pools.find(({ pageKind }) => pageKind === kind);
  return [checkSmallPool(of('hugetlb-2m')), checkGiantPool(of('hugetlb-1g'))];
}

function checkSmallPool(pool: PoolToCheck | undefined): Check {
  const name = 'huge-pages-2m';
  if (pool === undefined) {
    return warn(name, 'this kernel has no 2 MiB pages', 'use a kernel with CONFIG_HUGETLBFS, or do with base pages');
  }
  const { totalPages, freePages, reservedPages } = pool;
  if (totalPages === 0) {
    return warn(name, 'the pool is empty', 'leasehold serve --huge-pages-reserve 1GiB, or sysctl vm.nr_hugepages=512');
  }
  if (freePages > reservedPages) return ok(name, poolText(pool));
  return warn(name, `${poolText(pool)}: none is left`, `sysctl vm.nr_hugepages=${2 * totalPages}`);
}

/** Nobody misses these pages but mappings of gigabytes. */
function checkGiantPool(pool: PoolToCheck | undefined): Check {
  const name = 'huge-pages-1g';
  if (pool === undefined) return ok(name, 'this machine has no 1 GiB pages; 2 MiB pages do');
  if (pool.totalPages > 0) return ok(name, poolText(pool));
  return ok(name, 'the pool is empty; for mappings of gigabytes, start the kernel with hugepagesz=1G hugepages=N');
}

function poolText({ totalPages, freePages, reservedPages, ourPages }: PoolToCheck): string {
  const ours = ourPages === undefined ? '' : `, ${ourPages} of the broker's mappings`;
  return `${totalPages} pages, ${freePages} free, ${reservedPages} of these reserved${ours}`;
}

/** Settings of shmem_enabled with which `fallocate` makes such pages; `advise` is for mappings alone. */
const MADE_BY_KERNEL = ['always', 'within_size', 'force'];

export function checkTransparentPages(release: string, root = '/'): Check {
  const name = 'transparent-pages';
  const folder = join(root, 'sys/kernel/mm/transparent_hugepage');
  const [, setting] = /\[(\w+)\]/.exec(readOrNull(join(folder, 'shmem_enabled')) ?? '') ?? [];
  if (setting === undefined) {
    return warn(name, 'this kernel has none for shared memory', 'reserve huge pages, or do with base pages');
  }
  const pageBytes = Number(readOrNull(join(folder, 'hpage_pmd_size')) ?? TRANSPARENT_PAGE_BYTES);
  if (pageBytes !== TRANSPARENT_PAGE_BYTES) {
    const found = `this kernel makes pages of ${formatBytes(pageBytes)} each, which the broker does not use`;
    return warn(name, found, 'reserve huge pages, or use a kernel with base pages of 4 KiB');
  }
  const [, major = 0, minor = 0] = /^(\d+)\.(\d+)/.exec(release) ?? [];
  const collapses = !isOlder([Number(major), Number(minor)], [6, 1]);
  const mend = `echo ${collapses ? 'advise' : 'within_size'} > /sys/kernel/mm/transparent_hugepage/shmem_enabled`;
  if (setting === 'deny') return warn(name, 'shmem_enabled is deny: there are none for shared memory', mend);
  const madeByKernel = MADE_BY_KERNEL.includes(setting);
  if (!madeByKernel && !collapses) {
    return warn(name, `shmem_enabled is ${setting}, and this kernel has no MADV_COLLAPSE`, mend);
  }
  const how = madeByKernel ? 'the kernel makes them' : 'the broker makes them itself, by MADV_COLLAPSE';
  return ok(name, `shmem_enabled is ${setting}: ${how}`);
}

/** Memory that the machine or the control group can still give; `keptBytes` is what the broker leaves. */
export function checkMemory(headroom: { availableBytes: number; detail: string }, keptBytes = 256 * 2 ** 20): Check {
  const name = 'memory';
  const { availableBytes, detail } = headroom;
  const found = `${formatBytes(availableBytes)} can be taken (${detail})`;
  const mend = 'free memory, or raise the limit of the control group (systemd: MemoryMax)';
  if (availableBytes <= keptBytes) return fail(name, `${found}; the broker keeps back ${formatBytes(keptBytes)}`, mend);
  return availableBytes <= 4 * keptBytes ? warn(name, found, mend) : ok(name, found);
}

function readOrNull(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return null;
  }
}
