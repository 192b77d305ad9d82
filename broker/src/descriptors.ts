/** How many file descriptors and memory maps this process may have, and has. Owns nothing. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { openFilesLimit } from '@leasehold/shm-core/internal';
import type { SystemBounds } from './domain/quota-limits.ts';
import type { ReadinessCheck } from './snapshot.ts';

/** What a mapping, its participants and the connections of a few clients take: with less left, new ones will be refused soon. */
const RESERVE = 64;

/** The soft limit of open files; Infinity when there is none. */
export function openFilesMax(): number {
  return openFilesLimit().soft;
}

/** What is left to all that no quota counts: connections that have not said who they are, calls, files, and the maps of Node itself. */
const NOT_IN_QUOTAS = 512;

/** What the quotas may give away together: each participant takes a descriptor and a map, and as many are left to mappings and sessions. */
export function systemBounds(root = '/'): SystemBounds {
  const maps = Number(readFileSync(`${root}proc/sys/vm/max_map_count`, 'utf8'));
  const files = openFilesMax();
  const participants = Math.max(1, Math.floor((Math.min(files, maps) - NOT_IN_QUOTAS) / 2));
  return { participants, descriptors: Math.max(RESERVE, files - NOT_IN_QUOTAS) };
}

/** @throws Error (EMFILE) when not even the list can be read. */
export function openFiles(): number {
  // Linux 6.2 and later; before, and where the list is empty, it says 0.
  const counted = statSync('/proc/self/fd').size;
  if (counted > 0) return counted;
  // Reading the directory takes a descriptor, which is in the list.
  return readdirSync('/proc/self/fd').length - 1;
}

/** `max`: the limit as it was at the start. */
export function descriptorsCheck(accepting: boolean, max: number, count: () => number = openFiles): ReadinessCheck {
  const name = 'descriptors';
  if (!accepting) return { name, ok: false, detail: 'no connection is accepted for lack of descriptors' };
  try {
    const open = count();
    const ok = max - open >= RESERVE;
    return { name, ok, detail: `${open} of ${max} are open${ok ? '' : '; raise LimitNOFILE, or close clients'}` };
  } catch (error) {
    return { name, ok: false, detail: `they cannot be counted: ${String(error)}` };
  }
}
