/** The memory behind a mapping, as the kernel counts it in any process that has it: which file, how much of it is there, where it is mapped. */
import { readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';

/** A memory object that a process has open. */
export interface OpenMemory {
  /** Its length: what may be mapped, B. */
  readonly bytes: number;
  /** What of it takes memory, B. */
  readonly allocatedBytes: number;
}

/** What a process has mapped of a mapping's payload. */
export interface MappedMemory {
  /** Its lines of /proc/PID/maps: addresses, rights, file. */
  readonly lines: readonly string[];
  /** B, of all of them, as smaps says. */
  readonly residentBytes: number;
  readonly lockedBytes: number;
}

/** stat(2) counts in these, B. */
const BLOCK_BYTES = 512;
const KIB = 1024;

const fileOf = (mappingId: bigint): string => `/memfd:leasehold.${mappingId} (deleted)`;

/** The payload of a mapping, as its broker has it. @throws Error when it has none */
export function openMemoryOf(brokerPid: number, mappingId: bigint): OpenMemory {
  const found = openMemories(brokerPid).get(fileOf(mappingId));
  if (found === undefined) throw new Error(`process ${brokerPid} has no ${fileOf(mappingId)}`);
  return found;
}

/** What all memory that a process has open takes, B. */
export function allocatedBytesOf(pid: number): number {
  let bytes = 0;
  for (const { allocatedBytes } of openMemories(pid).values()) bytes += allocatedBytes;
  return bytes;
}

/** Each once, however many descriptors there are. */
function openMemories(pid: number): Map<string, OpenMemory> {
  const found = new Map<string, OpenMemory>();
  for (const fd of readdirSync(`/proc/${pid}/fd`)) {
    const link = `/proc/${pid}/fd/${fd}`;
    const target = ifThere(() => readlinkSync(link));
    if (target?.startsWith('/memfd:') !== true) continue;
    const stat = ifThere(() => statSync(link));
    // Two mappings have pages of the same label.
    const key = found.has(target) ? `${target} ${stat?.ino}` : target;
    if (stat !== undefined) found.set(key, { bytes: stat.size, allocatedBytes: stat.blocks * BLOCK_BYTES });
  }
  return found;
}

/** Undefined for a descriptor that was closed since it was listed. */
function ifThere<Value>(read: () => Value): Value | undefined {
  try {
    return read();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** What a process has mapped of a mapping's payload. No lines: it has not mapped it. */
export function mappedMemoryOf(pid: number, mappingId: bigint): MappedMemory {
  const lines: string[] = [];
  const kib = { Rss: 0, Locked: 0 };
  let inside = false;
  for (const line of readFileSync(`/proc/${pid}/smaps`, 'utf8').split('\n')) {
    const head = /^[0-9a-f]+-[0-9a-f]+ /.test(line);
    if (head) {
      inside = line.endsWith(fileOf(mappingId));
      if (inside) lines.push(line);
    }
    const field = /^(Rss|Locked|Shared_Hugetlb|Private_Hugetlb): +(\d+) kB$/.exec(line);
    if (!inside || field === null) continue;
    // Large pages of a pool are not in Rss.
    kib[field[1] === 'Locked' ? 'Locked' : 'Rss'] += Number(field[2]);
  }
  return { lines, residentBytes: kib.Rss * KIB, lockedBytes: kib.Locked * KIB };
}

/** A field of /proc/PID/status, B. */
export function statusBytes(pid: number, field: 'VmRSS' | 'RssShmem' | 'RssAnon' | 'VmLck'): number {
  const kib = new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return Number(kib) * KIB;
}

/** What the machine says it could give to programs, B. */
export function availableBytes(): number {
  return Number(/^MemAvailable:\s+(\d+) kB$/m.exec(readFileSync('/proc/meminfo', 'utf8'))?.[1]) * KIB;
}
