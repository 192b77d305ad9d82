/** The kernel's pool of 2 MiB pages, made larger for a test. Invariant: as many pages as were added are taken out again after it. */
import { readFileSync, writeFileSync } from 'node:fs';
import { onTestFinished } from 'vitest';

export const LARGE_PAGE_BYTES = 2 ** 21;

const POOL = '/sys/kernel/mm/hugepages/hugepages-2048kB';

const count = (name: string): number => Number(readFileSync(`${POOL}/${name}`, 'utf8'));

/** Pages that nobody has and nobody was promised. */
export const freeLargePages = (): number => count('free_hugepages') - count('resv_hugepages');

/** Pages that stay in the pool when they are free. The others leave it then; when somebody asks for more before, they stay as well. */
const persistentPages = (): number => count('nr_hugepages') - count('surplus_hugepages');

function setTotal(pages: number): void {
  writeFileSync(`${POOL}/nr_hugepages`, String(Math.max(0, pages)));
}

/** Makes sure that so many pages are free. @returns how to put the pool back. @throws when they are not to be had */
function addLargePages(pages: number): () => void {
  const before = persistentPages();
  const missing = pages - freeLargePages();
  if (missing > 0) setTotal(count('nr_hugepages') + missing);
  const added = Math.max(0, persistentPages() - before);
  const giveBack = (): void => {
    if (added > 0) setTotal(persistentPages() - added);
  };
  if (freeLargePages() >= pages) return giveBack;
  giveBack();
  throw new Error(`of ${pages} large pages, only ${freeLargePages()} could be had: memory is too fragmented`);
}

/** Why a test cannot have so many large pages; empty when it can. For its name, and to skip it. */
export function whyNoLargePages(pages: number): string {
  try {
    addLargePages(pages)();
    return '';
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** So many pages are free, until the test is over. */
export function needLargePages(pages: number): void {
  onTestFinished(addLargePages(pages));
}
