/** The limits of a process: those of the broker when one answers, else those that it would inherit from here. Changes nothing. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { formatBytes } from '../program/output.ts';
import { type Check, fail, ok, warn } from './check.ts';

/** Below this a broker can hardly serve a few clients; from the other on, hundreds of them. */
const OPEN_FILES_FEW = 256;
const OPEN_FILES_MANY = 4_096;
/** Enough for the odd locked mapping, B. */
const LOCKED_MEMORY_ENOUGH = 64 * 2 ** 20;
/** Number of the capability: capabilities(7). */
const CAP_IPC_LOCK = 14n;

export interface Limits {
  /** For people: whose they are. */
  readonly whose: string;
  /** Soft limits; Infinity when there is none. */
  readonly openFiles: number;
  readonly lockedMemoryBytes: number;
  /** Whether locking is not limited whatever the limit says. */
  readonly mayLockAll: boolean;
}

/** Of the process `pid`, or of this one. @throws Error when there is no such process. */
export function readLimits(pid: number | 'self', root = '/'): Limits {
  const read = (file: string) => readFileSync(join(root, 'proc', String(pid), file), 'utf8');
  const limits = read('limits');
  const soft = (name: string) => {
    const [, value] = new RegExp(`^${name}\\s+(\\S+)`, 'm').exec(limits) ?? [];
    return value === 'unlimited' ? Number.POSITIVE_INFINITY : Number(value);
  };
  const [, effective = '0'] = /^CapEff:\s+([0-9a-f]+)/m.exec(read('status')) ?? [];
  const hasCapability = ((BigInt(`0x${effective}`) >> CAP_IPC_LOCK) & 1n) === 1n;
  return {
    whose: pid === 'self' ? 'here' : `broker, pid ${pid}`,
    openFiles: soft('Max open files'),
    lockedMemoryBytes: soft('Max locked memory'),
    mayLockAll: hasCapability && hasAllUsers(read),
  };
}

/**
 * Whether its capabilities count for the machine. In a user namespace, as of a rootless container, mlock asks for that of the machine
 * all the same; such a namespace has a part of the users.
 */
function hasAllUsers(read: (file: string) => string): boolean {
  try {
    return /^\s*0\s+0\s+4294967295\s*$/.test(read('uid_map'));
  } catch {
    // A kernel without user namespaces.
    return true;
  }
}

export function checkLimits(limits: Limits): Check[] {
  return [checkLockedMemory(limits), checkOpenFiles(limits)];
}

function checkLockedMemory({ whose, lockedMemoryBytes, mayLockAll }: Limits): Check {
  const name = 'locked-memory';
  if (mayLockAll) return ok(name, `no limit, by CAP_IPC_LOCK (${whose})`);
  if (lockedMemoryBytes === Number.POSITIVE_INFINITY) return ok(name, `RLIMIT_MEMLOCK is unlimited (${whose})`);
  const found = `RLIMIT_MEMLOCK is ${formatBytes(lockedMemoryBytes)} (${whose})`;
  if (lockedMemoryBytes >= LOCKED_MEMORY_ENOUGH) return ok(name, found);
  return warn(
    name,
    `${found}: more cannot be locked, but in large pages`,
    'ulimit -l unlimited before leasehold serve (systemd: LimitMEMLOCK=infinity)',
  );
}

function checkOpenFiles({ whose, openFiles }: Limits): Check {
  const name = 'open-files';
  const found = `RLIMIT_NOFILE is ${openFiles === Number.POSITIVE_INFINITY ? 'unlimited' : openFiles} (${whose})`;
  const mend = 'ulimit -n 65536 before leasehold serve (systemd: LimitNOFILE=65536)';
  if (openFiles < OPEN_FILES_FEW) return fail(name, `${found}: too few for a broker`, mend);
  return openFiles < OPEN_FILES_MANY ? warn(name, `${found}: enough for a few dozen mappings`, mend) : ok(name, found);
}
