/** Growing and shrinking a segment that is never swapped out, seen at the calls that its resident part gets. */
import { describe, expect, it } from 'vitest';
import { OsError } from '../os/os.ts';
import { SegmentAllocator } from './allocate-segment.ts';
import type { Segment } from './segment.ts';
import { SpyOs } from './testing/spy-os.ts';

const MIB = 2 ** 20;
const PAGE = 4096;

const sizes = ({ grant: { payloadBytes, mappedBytes }, takenBytes }: Segment): number[] => [
  payloadBytes,
  mappedBytes,
  takenBytes,
];

describe('a segment that is kept in memory', () => {
  /** What becomes of its resident part. */
  async function lockedBench(payloadBytes: number, reserveBytes = MIB) {
    const told: string[] = [];
    let refused = false;
    let extended = (): void => undefined;
    const os = new SpyOs();
    os.keepResident = () => ({
      extendTo: async (bytes) => {
        told.push(`extend ${bytes}`);
        extended();
        if (refused) throw new OsError('mlock', 12, 'ENOMEM');
      },
      reduceTo: async (bytes) => void told.push(`reduce ${bytes}`),
      release: async () => void told.push('release'),
    });
    const request = { label: 'test', payloadBytes, reserveBytes, locked: true, pages: 'never' } as const;
    const segment = await new SegmentAllocator(os).allocate({ ...request, admit: () => undefined });
    const refuse = (): void => {
      refused = true;
    };
    const onExtend = (action: () => void): void => {
      extended = action;
    };
    return { os, segment, told, refuse, onExtend };
  }

  it('is kept so as far as it is populated, and no further', async () => {
    const { segment, told } = await lockedBench(1);
    await segment.grow(5 * PAGE);
    await segment.shrink(PAGE + 1);
    segment.close();
    expect(told).toEqual([`extend ${PAGE}`, `extend ${5 * PAGE}`, `reduce ${2 * PAGE}`, 'release']);
  });

  it('keeps its size where no more may be locked, and gives back what was populated for it', async () => {
    const { os, segment, told, refuse } = await lockedBench(PAGE);
    refuse();
    await expect(segment.grow(3 * PAGE)).rejects.toMatchObject({ call: 'mlock' });
    expect(told).toEqual([`extend ${PAGE}`, `extend ${3 * PAGE}`, `reduce ${PAGE}`]);
    expect(os.calls.at(-1)).toBe(`discard ${PAGE} ${2 * PAGE}`);
    expect(sizes(segment)).toEqual([PAGE, PAGE, PAGE]);
  });

  it('is kept so in steps, between which others have their turn and a caller who gives up is seen', async () => {
    const { segment, told, onExtend } = await lockedBench(PAGE, 1024 * MIB);
    const abort = new AbortController();
    onExtend(() => abort.abort());
    const onProgress = () => void told.push('populated');
    const growing = segment.grow(200 * MIB, { signal: abort.signal, onProgress });
    await expect(growing).rejects.toMatchObject({ name: 'AbortError' });
    const [first, ...rest] = told;
    expect(first).toBe(`extend ${PAGE}`);
    expect(rest).toEqual([...Array(4).fill('populated'), `extend ${64 * MIB + PAGE}`, `reduce ${PAGE}`]);
    expect(sizes(segment)).toEqual([PAGE, PAGE, PAGE]);
  });

  it('is locked again as far as it could not be given back', async () => {
    const { os, segment, told } = await lockedBench(3 * PAGE);
    os.discard = async () => {
      throw new OsError('fallocate', 28, 'ENOSPC');
    };
    await segment.shrink(PAGE);
    expect(told).toEqual([`extend ${3 * PAGE}`, `reduce ${PAGE}`, `extend ${3 * PAGE}`]);
  });
});
