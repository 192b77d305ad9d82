/** Growing the kernel's pool: in steps, so that it can be stopped, and never by more than the machine can spare. */
import { type KernelPool, POOL_PAGE_BYTES, type PoolCounts } from './kernel-pool.ts';

/** 512 MiB: the delay after which a stop is seen. */
const STEP_PAGES = 256;
/** What the machine keeps for everybody else, B: the kernel would hand out the last page. */
const KEPT_BYTES = 256 * 2 ** 20;

export interface Growth {
  /** More pages than before, whoever may use them. */
  readonly gotPages: number;
  /** What kept it from being more: `signal` is that of the caller; null when nothing did. */
  readonly limitedBy: 'memory' | 'fragmentation' | 'signal' | null;
}

/** Pages that must be added for this many to be free and promised to nobody. */
export function lackingPages({ freePages, reservedPages }: PoolCounts, wantedPages: number): number {
  return Math.max(0, wantedPages - Math.max(0, freePages - reservedPages));
}

/** Adds up to `askedPages` to a pool that is locked. @throws Error with errno when the kernel refuses to be asked. */
export async function growPool(
  kernel: KernelPool,
  before: PoolCounts,
  askedPages: number,
  signal?: AbortSignal,
): Promise<Growth> {
  const sparePages = Math.max(0, Math.floor((kernel.availableBytes() - KEPT_BYTES) / POOL_PAGE_BYTES));
  const goal = totalOf(before) + Math.min(askedPages, sparePages);
  let counts = before;
  let isFull = false;
  while (!isFull && totalOf(counts) < goal && signal?.aborted !== true) {
    const wanted = Math.min(goal, totalOf(counts) + STEP_PAGES);
    await kernel.resize(wanted);
    counts = kernel.counts() ?? before;
    // The kernel takes its time and compacts: a second try would get no more.
    isFull = totalOf(counts) < wanted;
  }
  const gotPages = Math.max(0, totalOf(counts) - totalOf(before));
  if (isFull) return { gotPages, limitedBy: 'fragmentation' };
  if (totalOf(counts) < goal) return { gotPages, limitedBy: 'signal' };
  return { gotPages, limitedBy: sparePages < askedPages ? 'memory' : null };
}

/** What to do about less than was wanted. */
export function shortfallAdvice({ limitedBy }: Growth, wantedPages: number): string {
  if (limitedBy === 'signal') return 'the broker was told to stop meanwhile';
  if (limitedBy === 'memory') {
    return 'the machine has not that much memory to spare: reserve less, or free some';
  }
  return (
    'memory is fragmented: start the broker earlier after boot, run `sysctl vm.compact_memory=1` before it, or reserve at boot ' +
    `with the kernel parameter hugepages=${wantedPages}`
  );
}

const totalOf = ({ persistentPages, surplusPages }: PoolCounts): number => persistentPages + surplusPages;
