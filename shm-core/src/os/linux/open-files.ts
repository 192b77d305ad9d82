/** How many files this process may have open (RLIMIT_NOFILE): read, and raised as far as the system lets it. Lowers nothing. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { OsError } from '../os.ts';
import { checked, libc } from './libc.ts';

const RLIMIT_NOFILE = 7;
const RLIM_INFINITY = 2n ** 64n - 1n;

/** Infinity: there is none. */
export interface OpenFilesLimit {
  /** What holds. */
  readonly soft: number;
  /** What this process may raise `soft` to; only with CAP_SYS_RESOURCE this one, too. */
  readonly hard: number;
}

/** @throws OsError */
export function openFilesLimit(): OpenFilesLimit {
  const limit = new BigUint64Array(2);
  checked('getrlimit', libc().getrlimit(RLIMIT_NOFILE, limit), 'RLIMIT_NOFILE');
  const [soft = 0n, hard = 0n] = limit;
  return { soft: numberOf(soft), hard: numberOf(hard) };
}

const numberOf = (limit: bigint): number => (limit === RLIM_INFINITY ? Number.POSITIVE_INFINITY : Number(limit));

/**
 * Raises the soft limit to `wanted`, or as near as can be: to the hard one, and beyond it, up to what the kernel allows any process
 * (fs.nr_open), where the process may raise that. Who inherits it, for example a child that uses select(2), may not expect so many.
 * @returns what holds now. @throws OsError that is no lack of permission
 */
export function raiseOpenFilesLimit(wanted: number, root = '/'): OpenFilesLimit {
  const { soft, hard } = openFilesLimit();
  if (soft >= wanted) return { soft, hard };
  const most = Math.min(wanted, systemMax(root));
  // The kernel refuses a hard limit above its own maximum even to keep it: then all stays as it is.
  if (hard >= most) triedToSet(most, hard);
  else if (!triedToSet(most, most) && soft < hard) triedToSet(hard, hard);
  return openFilesLimit();
}

/** The most that any process may have; what it was for long where the kernel does not say. */
function systemMax(root: string): number {
  try {
    return Number(readFileSync(join(root, 'proc/sys/fs/nr_open'), 'utf8'));
  } catch {
    return 2 ** 20;
  }
}

function triedToSet(soft: number, hard: number): boolean {
  try {
    setLimit(soft, hard);
    return true;
  } catch (error) {
    if (error instanceof OsError && error.code === 'EPERM') return false;
    throw error;
  }
}

function setLimit(soft: number, hard: number): void {
  const limit = BigUint64Array.of(BigInt(soft), hard === Number.POSITIVE_INFINITY ? RLIM_INFINITY : BigInt(hard));
  checked('setrlimit', libc().setrlimit(RLIMIT_NOFILE, limit), `RLIMIT_NOFILE ${soft}, ${hard}`);
}
