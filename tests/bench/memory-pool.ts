/**
 * The kernel's pools of large pages, as the run needs them: set before each measurement, put back at the end. Invariant: whatever happens
 * short of SIGKILL, `restore` takes back exactly what was changed here, so that what others do to a pool meanwhile stays.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { POOL_PAGE_BYTES, type PoolKind } from './memory-plan.ts';

const POOLS = Object.keys(POOL_PAGE_BYTES) as PoolKind[];

const directoryOf = (kind: PoolKind): string => `/sys/kernel/mm/hugepages/hugepages-${POOL_PAGE_BYTES[kind] / 1_024}kB`;

/** Undefined: this system has no such pages. */
function pagesIn(kind: PoolKind, file: string): number | undefined {
  try {
    return Number(readFileSync(`${directoryOf(kind)}/${file}`, 'utf8'));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

export class HugePagePools {
  /** Pages more, or fewer, than there would be without this run. */
  readonly #changed = new Map<PoolKind, number>();
  #restored = false;

  /**
   * Leaves `bytes` of pages of `kind` free, and no free page of any other; null empties them all. Returns what could not be had and
   * why; null when all could. @throws Error after `restore`.
   */
  provide(kind: PoolKind | null, bytes: number): string | null {
    if (this.#restored) throw new Error('the pools have been put back');
    const emptied = POOLS.filter((other) => other !== kind).map((other) =>
      this.#set(other, (total, free) => total - free),
    );
    if (kind === null) return emptied.find((problem) => problem !== null) ?? null;
    const needed = Math.ceil(bytes / POOL_PAGE_BYTES[kind]);
    const problem = this.#set(kind, (total, free) => total + needed - free);
    if (problem !== null) return problem;
    const free = freeIn(kind);
    if (free >= needed) return null;
    return `${free} of ${needed} pages to be had: memory is short, or fragmented`;
  }

  /** Sets a pool to the total that `wanted` makes of the total and free pages. Returns why that cannot be. */
  #set(kind: PoolKind, wanted: (total: number, free: number) => number): string | null {
    const total = pagesIn(kind, 'nr_hugepages');
    if (total === undefined) return `this system has no ${kind} pages`;
    const pages = wanted(total, freeIn(kind));
    if (pages === total) return null;
    try {
      writeFileSync(`${directoryOf(kind)}/nr_hugepages`, String(Math.max(0, pages)));
      const got = (pagesIn(kind, 'nr_hugepages') ?? total) - total;
      this.#changed.set(kind, (this.#changed.get(kind) ?? 0) + got);
      return null;
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      return `the pool of ${kind} cannot be set (${code}): run as root`;
    }
  }

  /** For good. */
  restore(): void {
    this.#restored = true;
    for (const [kind, pages] of this.#changed) this.#set(kind, (total) => total - pages);
  }
}

/** Pages that nobody has and nobody was promised. */
function freeIn(kind: PoolKind): number {
  return (pagesIn(kind, 'free_hugepages') ?? 0) - (pagesIn(kind, 'resv_hugepages') ?? 0);
}
