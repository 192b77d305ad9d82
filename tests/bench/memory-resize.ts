/** What growing and shrinking take, by how many have the mapping attached, and what an untouched reservation takes of the machine. */
import type { MemoryGrant } from '@leasehold/client';
import type { ReserveResult, ResizeResult } from './memory-figures.ts';
import { type Lab, memoryNumber, Samples } from './memory-lab.ts';
import { distribution } from './memory-measure.ts';
import { POLICY, POOL_PAGE_BYTES } from './memory-plan.ts';
import { bytesText } from './memory-report.ts';

/** Transparent pages are of a size for good. */
const RESIZED = ['base', 'hugetlb-2m'] as const;
type Resized = (typeof RESIZED)[number];

const NAME = 'bench/resize';
/** What is there before anything grows: one large page. */
const START_BYTES = POOL_PAGE_BYTES['hugetlb-2m'];

type Key = Omit<ResizeResult, 'latency'>;

async function reserve(lab: Lab, kind: Resized, sizeBytes: number, reserveBytes: number): Promise<MemoryGrant> {
  const question = { do: 'reserve', name: NAME, sizeBytes, reserveBytes, pages: POLICY[kind] } as const;
  const memory = await lab.creator.ask<MemoryGrant>(question);
  if (memory.pageKind === kind) return memory;
  await lab.creator.ask({ do: 'unreserve' });
  throw new Error(`the broker granted ${memory.pageKind}`);
}

export async function measureResizes(lab: Lab): Promise<ResizeResult[]> {
  const samples = new Samples<Key>();
  const { attachments: counts, steps } = lab.plan.resize;
  for (const kind of RESIZED) {
    for (const attachments of counts) {
      for (const stepBytes of steps) {
        const what = `resize by ${bytesText(stepBytes)}, ${kind}, ${attachments} attached`;
        const key = { kind, attachments, stepBytes };
        await lab.attempt(what, kind, START_BYTES + stepBytes, () => resizeRounds(lab, key, samples));
      }
    }
  }
  return samples.map((key, tookNs) => ({ ...key, latency: distribution(tookNs) }));
}

/** The first round is not counted. */
async function resizeRounds(
  lab: Lab,
  key: Omit<Key, 'direction'> & { kind: Resized },
  samples: Samples<Key>,
): Promise<void> {
  const { creator, user } = lab;
  const largeBytes = START_BYTES + key.stepBytes;
  await reserve(lab, key.kind, START_BYTES, largeBytes);
  try {
    await user.ask({ do: 'gather', name: NAME, sessions: key.attachments });
    for (let round = 0; round <= lab.plan.resize.rounds; round += 1) {
      const growNs = await creator.ask<number>({ do: 'resize', sizeBytes: largeBytes });
      await user.ask({ do: 'look' });
      const shrinkNs = await creator.ask<number>({ do: 'resize', sizeBytes: START_BYTES });
      if (round === 0) continue;
      samples.add({ ...key, direction: 'grow' }, growNs);
      samples.add({ ...key, direction: 'shrink' }, shrinkNs);
    }
  } finally {
    await user.ask({ do: 'disperse' });
    await creator.ask({ do: 'unreserve' });
  }
}

export async function measureReserves(lab: Lab): Promise<ReserveResult[]> {
  const results: ReserveResult[] = [];
  const { reserveBytes } = lab.plan;
  for (const kind of RESIZED) {
    const what = `a reservation of ${bytesText(reserveBytes)}, ${kind}`;
    const found = await lab.attempt(what, kind, START_BYTES, () => measureReserve(lab, kind, reserveBytes));
    if (found !== null) results.push(found);
  }
  return results;
}

async function measureReserve(lab: Lab, kind: Resized, reserveBytes: number): Promise<ReserveResult> {
  // What a process maps for its first attachment only is not the reservation's.
  await attachSmall(lab, kind, START_BYTES);
  return attachSmall(lab, kind, reserveBytes);
}

/** What one page of it, and all the rest untouched, took from before it was created until another process has it attached. */
async function attachSmall(lab: Lab, kind: Resized, reserveBytes: number): Promise<ReserveResult> {
  const before = takenNow(lab);
  const { mappedBytes: committedBytes } = await reserve(lab, kind, 1, reserveBytes);
  try {
    await lab.user.ask({ do: 'gather', name: NAME, sessions: 1 });
    const after = takenNow(lab);
    return {
      kind,
      reserveBytes,
      committedBytes,
      memoryBytes: after.memoryBytes - before.memoryBytes,
      pageTableBytes: after.pageTableBytes - before.pageTableBytes,
      residentBytes: after.residentBytes - before.residentBytes,
    };
  } finally {
    await lab.user.ask({ do: 'disperse' });
    await lab.creator.ask({ do: 'unreserve' });
  }
}

function takenNow({ brokerPid, user }: Lab): Pick<ReserveResult, 'memoryBytes' | 'pageTableBytes' | 'residentBytes'> {
  const files = [brokerPid, user.child.pid ?? 0].map((pid) => `/proc/${pid}/status`);
  const ofBoth = (key: string): number => files.reduce((total, file) => total + memoryNumber(key, file), 0);
  const residentBytes = ofBoth('RssShmem') + ofBoth('HugetlbPages');
  return { memoryBytes: memoryNumber('Shmem') + largePageBytes(), pageTableBytes: ofBoth('VmPTE'), residentBytes };
}

/** Pages of 2 MiB that somebody has or was promised, B. */
function largePageBytes(): number {
  const [total, free, promised] = ['Total', 'Free', 'Rsvd'].map((what) => memoryNumber(`HugePages_${what}`));
  return ((total ?? 0) - (free ?? 0) + (promised ?? 0)) * POOL_PAGE_BYTES['hugetlb-2m'];
}
