/**
 * What a broker has added to the kernel's pool and not given back yet, kept in the state directory, so that the successor of a broker
 * that was killed can give it back. Invariants: the record is on the disk before the pool changes; when it and the pool disagree, the
 * pages belong to somebody else.
 */
import { renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { isErrno, readHead, syncDirectory, writeDurably } from './files.ts';
import type { PoolCounts } from './kernel-pool.ts';

const FILE = 'huge-pages.json';
/** Far more than any record has. */
const RECORD_BYTES_MAX = 1_024;

export interface HugePageDebt {
  /** Of the start of the machine in which they were added. */
  readonly bootId: string;
  /** Of the pool, those that a broker added. While `adding`: at most so many. */
  readonly addedPages: number;
  /** The others that were in the pool at the last look. */
  readonly othersPages: number;
  /** Whether the kernel was still at it when this was written. */
  readonly adding: boolean;
}

/**
 * How many pages of the pool are the debt's. A reboot has emptied the pool. A pool that is smaller than it was left has been set by
 * somebody who knew what they wanted; one that is greater has more of others.
 */
export function owedPages(debt: HugePageDebt, bootId: string, { persistentPages }: PoolCounts): number {
  const { addedPages, othersPages, adding } = debt;
  if (debt.bootId !== bootId) return 0;
  const left = Math.max(0, persistentPages - othersPages);
  // Killed while the kernel was at it: what there is beyond the others is what it got done.
  if (adding) return Math.min(addedPages, left);
  return left >= addedPages ? addedPages : 0;
}

/** Null when nothing is owed. @throws Error when the record cannot be read or is not one. */
export function readDebt(stateDir: string): HugePageDebt | null {
  const path = join(stateDir, FILE);
  const text = readHead(path, RECORD_BYTES_MAX);
  if (text === undefined) return null;
  const debt = parseDebt(text);
  if (debt !== null) return debt;
  throw new Error(`${path} is damaged: the pages that it counted stay in the pool; delete it`);
}

/** Null: nothing is owed any more. */
export function storeDebt(stateDir: string, debt: HugePageDebt | null): void {
  const path = join(stateDir, FILE);
  if (debt === null) rmSync(path, { force: true });
  else {
    writeDurably(`${path}.new`, `${JSON.stringify(debt)}\n`);
    renameSync(`${path}.new`, path);
  }
  try {
    syncDirectory(stateDir);
  } catch (error) {
    // A directory that went away took the record with it.
    if (debt !== null || !isErrno(error, 'ENOENT')) throw error;
  }
}

function parseDebt(text: string): HugePageDebt | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  if (typeof value !== 'object' || value === null) return null;
  const { bootId, addedPages, othersPages, adding } = value as Record<string, unknown>;
  if (typeof bootId !== 'string' || typeof adding !== 'boolean') return null;
  return isCount(addedPages) && isCount(othersPages) ? { bootId, addedPages, othersPages, adding } : null;
}

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && Number(value) >= 0;
