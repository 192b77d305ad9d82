/** How many file descriptors and memory maps this process may have, and has. Reads /proc; owns nothing. */
import { readdirSync, readFileSync } from 'node:fs';
import type { Limits } from './domain/limits.ts';
import type { ReadinessCheck } from './snapshot.ts';

/** What a mapping, its participants and the connections of a few clients take: with less left, new ones will be refused soon. */
const RESERVE = 64;

/** The soft limit of open files; Infinity when there is none. */
export function openFilesMax(): number {
  const [, soft = ''] = /^Max open files\s+(\S+)/m.exec(readFileSync('/proc/self/limits', 'utf8')) ?? [];
  return soft === 'unlimited' ? Number.POSITIVE_INFINITY : Number(soft);
}

/** What is left to everything but attachments: connections, sessions, mappings, and the maps of Node itself. */
const NOT_FOR_ATTACHMENTS = 512;

/** `limits` with no more attachments than descriptors and maps allow, a user at most half of them. */
export function withinSystemLimits(limits: Limits, root = '/'): Limits {
  const maps = Number(readFileSync(`${root}proc/sys/vm/max_map_count`, 'utf8'));
  const room = Math.max(1, Math.floor((Math.min(openFilesMax(), maps) - NOT_FOR_ATTACHMENTS) / 2));
  const attachments = Math.min(limits.attachments, room);
  return { ...limits, attachments, attachmentsPerUid: Math.min(limits.attachmentsPerUid, Math.ceil(attachments / 2)) };
}

/** @throws Error (EMFILE) when not even the list can be read. */
export function openFiles(): number {
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
