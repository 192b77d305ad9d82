/** The shared memory and the sockets of this process, as the kernel counts them. */
import { readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';

const maps = (): number => readFileSync('/proc/self/maps', 'utf8').match(/memfd:leasehold/g)?.length ?? 0;
const lockedKib = (): number => Number(/VmLck:\s+(\d+) kB/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]);

/** Open descriptors of segments that may write: a segment keeps one for readers once there were some. */
function segments(): { descriptors: number; blocks: number } {
  let [descriptors, blocks] = [0, 0];
  for (const fd of readdirSync('/proc/self/fd')) {
    try {
      if (!linkOf(fd).startsWith('/memfd:leasehold')) continue;
      const flags = Number.parseInt(
        /flags:\s+(\d+)/.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'))?.[1] ?? '',
        8,
      );
      if ((flags & 3) === 0) continue;
      descriptors += 1;
      blocks += statSync(`/proc/self/fd/${fd}`).blocks;
    } catch {
      // Closed meanwhile.
    }
  }
  return { descriptors, blocks };
}

/** Sockets that this process has open. */
export function openSockets(): number {
  return readdirSync('/proc/self/fd').filter((fd) => linkOf(fd).startsWith('socket:')).length;
}

/** What a descriptor is of; nothing when it was closed meanwhile, as the one that lists them is. */
function linkOf(fd: string): string {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`);
  } catch {
    return '';
  }
}

/** Segments that this process holds, what they take, how often they are mapped, and how much memory is locked. */
export const ownMemory = () => ({ ...segments(), maps: maps(), lockedKib: lockedKib() });
