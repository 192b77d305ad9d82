/** What a process holds, as the kernel counts it. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

export interface Figures {
  readonly fds: number;
  /** Descriptors of memfds. */
  readonly memfds: number;
  /** Mapped ranges. */
  readonly maps: number;
  /** Mapped ranges of memfds. */
  readonly memfdMaps: number;
  readonly residentBytes: number;
}

export function figuresOf(pid: number | 'self'): Figures {
  const fds = readdirSync(`/proc/${pid}/fd`).map((fd) => targetOf(`/proc/${pid}/fd/${fd}`));
  const maps = readFileSync(`/proc/${pid}/maps`, 'utf8').trimEnd().split('\n');
  const residentKib = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return {
    fds: fds.length,
    memfds: fds.filter((target) => target.startsWith('/memfd:')).length,
    maps: maps.length,
    memfdMaps: maps.filter((line) => line.includes('/memfd:')).length,
    residentBytes: Number(residentKib) * 1024,
  };
}

/** Of these, what must be exactly what it was: ranges of the runtime's own heap, and what of it is resident, come and go. */
export function heldBy(pid: number | 'self') {
  const { fds, memfds, memfdMaps } = figuresOf(pid);
  return { fds, memfds, memfdMaps };
}

/** Empty for a descriptor that was closed since it was listed. */
function targetOf(link: string): string {
  try {
    return readlinkSync(link);
  } catch {
    return '';
  }
}
