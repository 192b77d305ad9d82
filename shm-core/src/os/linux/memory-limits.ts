/**
 * How much more memory may be populated before somebody is killed for it: populating past a memory cgroup's limit does not fail,
 * the kernel kills the process. Reads /proc and /sys below a given root, so that tests use fixtures; changes nothing.
 */
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

export interface MemoryHeadroom {
  /** Base-page memory that can be taken, B; never negative. */
  readonly availableBytes: number;
  readonly limitedBy: 'MemAvailable' | 'cgroup';
  /** For people: the file and the figures behind it. */
  readonly detail: string;
}

/**
 * The tightest of MemAvailable and every memory cgroup (v1 and v2) that the process `pid`, or else this one, is in.
 * @throws Error without /proc/meminfo.
 */
export function memoryHeadroomBytes(root = '/', pid: number | 'self' = 'self'): MemoryHeadroom {
  const candidates = [machineHeadroom(root), ...cgroupHeadrooms(root, pid)];
  return candidates.reduce((tightest, each) => (each.availableBytes < tightest.availableBytes ? each : tightest));
}

function machineHeadroom(root: string): MemoryHeadroom {
  const available = /^MemAvailable:\s+(\d+) kB$/m.exec(readFileSync(join(root, 'proc/meminfo'), 'utf8'));
  if (available === null) throw new Error('/proc/meminfo has no MemAvailable');
  const availableBytes = Number(available[1]) * 1024;
  return { availableBytes, limitedBy: 'MemAvailable', detail: `MemAvailable is ${availableBytes} B` };
}

/** File names of one cgroup version. */
interface Hierarchy {
  /** Where it may be mounted: by itself, or beside v1 hierarchies. */
  readonly mounts: readonly string[];
  readonly limit: string;
  readonly usage: string;
  /** Line of memory.stat with the page cache that the kernel gives up first, descendants included. */
  readonly reclaimable: string;
}

const V2: Hierarchy = {
  mounts: ['sys/fs/cgroup', 'sys/fs/cgroup/unified'],
  limit: 'memory.max',
  usage: 'memory.current',
  reclaimable: 'inactive_file',
};

const V1: Hierarchy = {
  mounts: ['sys/fs/cgroup/memory'],
  limit: 'memory.limit_in_bytes',
  usage: 'memory.usage_in_bytes',
  reclaimable: 'total_inactive_file',
};

function cgroupHeadrooms(root: string, pid: number | 'self'): MemoryHeadroom[] {
  const membershipsOf = (process: string) => readOrNull(join(root, 'proc', process, 'cgroup'));
  const memberships = membershipsOf(String(pid)) ?? membershipsOf('self') ?? '';
  return memberships.split('\n').flatMap((line) => {
    // hierarchy-id:controllers:path, where v2 is 0 and names no controllers.
    const [, id, controllers = '', path = '/'] = /^(\d+):([^:]*):(\/.*)$/.exec(line) ?? [];
    if (id === '0' && controllers === '') return hierarchyHeadrooms(root, V2, path);
    if (controllers.split(',').includes('memory')) return hierarchyHeadrooms(root, V1, path);
    return [];
  });
}

/**
 * The group at `path` and all its ancestors, each of which limits it. In a container the path may be the host's and not exist below
 * the mount; the mount itself, looked at last, is the container's own group then.
 */
function hierarchyHeadrooms(root: string, hierarchy: Hierarchy, path: string): MemoryHeadroom[] {
  const paths: string[] = [];
  for (let each = path; each !== '/' && each !== '.'; each = dirname(each)) paths.push(each);
  paths.push('/');
  return hierarchy.mounts
    .flatMap((mount) => paths.map((each) => join(root, mount, each)))
    .flatMap((folder) => groupHeadroom(folder, hierarchy) ?? []);
}

function groupHeadroom(folder: string, hierarchy: Hierarchy): MemoryHeadroom | undefined {
  const limitBytes = Number(readOrNull(join(folder, hierarchy.limit)) ?? Number.NaN);
  const usageBytes = Number(readOrNull(join(folder, hierarchy.usage)) ?? Number.NaN);
  // `max` (v2), a number near 2^63 (v1) and a missing file all mean that nothing is limited here.
  if (!Number.isSafeInteger(limitBytes) || !Number.isSafeInteger(usageBytes)) return undefined;
  const stat = readOrNull(join(folder, 'memory.stat')) ?? '';
  const reclaimableBytes = Number(new RegExp(`^${hierarchy.reclaimable} (\\d+)$`, 'm').exec(stat)?.[1] ?? 0);
  return {
    availableBytes: Math.max(0, limitBytes - usageBytes + reclaimableBytes),
    limitedBy: 'cgroup',
    detail: `${folder}: limit ${limitBytes} B, used ${usageBytes} B, of which ${reclaimableBytes} B reclaimable`,
  };
}

function readOrNull(path: string): string | null {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return null;
  }
}
