/** Growing and shrinking, seen at the calls that the system gets. */
import { describe, expect, it, vi } from 'vitest';
import { OsError, type OwnedFd, type SegmentOs } from '../os/os.ts';
import { SegmentAllocator, type SegmentRequest } from './allocate-segment.ts';
import type { Segment } from './segment.ts';
import { SpyOs } from './testing/spy-os.ts';

const MIB = 2 ** 20;
const PAGE = 4096;

interface Bench {
  readonly os: SpyOs;
  readonly allocator: SegmentAllocator;
  readonly segment: Segment;
  /** What the system was asked since the segment was made. */
  asked(): string[];
}

async function bench(payloadBytes: number, more: Partial<SegmentRequest> = {}): Promise<Bench> {
  const os = new SpyOs();
  const allocator = new SegmentAllocator(os);
  const request = { label: 'test', payloadBytes, reserveBytes: 1024 * MIB, pages: 'never', ...more } as const;
  const segment = await allocator.allocate({ ...request, admit: () => undefined });
  const made = os.calls.length;
  return { os, allocator, segment, asked: () => os.calls.slice(made) };
}

const noMemory = (): OsError => new OsError('posix_fallocate', 28, 'ENOSPC');
const sizes = ({ grant: { payloadBytes, mappedBytes }, takenBytes }: Segment): number[] => [
  payloadBytes,
  mappedBytes,
  takenBytes,
];

/** Makes one kind of call wait until it is told how it ends. */
function hold(os: SpyOs, call: 'populate' | 'discard') {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const reached = Promise.withResolvers<void>();
  const real: SegmentOs[typeof call] = os[call].bind(os);
  os[call] = async (fd: OwnedFd, offset: number, bytes: number) => {
    await real(fd, offset, bytes);
    reached.resolve();
    await promise;
  };
  return { reached: reached.promise, goOn: resolve, fail: reject };
}

/** Makes the n-th call of one kind fail, from 1. */
function failAt(os: SpyOs, call: 'populate' | 'discard', nth: number): void {
  const real: SegmentOs[typeof call] = os[call].bind(os);
  let calls = 0;
  os[call] = async (fd: OwnedFd, offset: number, bytes: number) => {
    await real(fd, offset, bytes);
    calls += 1;
    if (calls === nth) throw noMemory();
  };
}

describe('a segment that grows', () => {
  it.each([
    ['within its last page', 5000, 8192, []],
    ['by a byte', PAGE, PAGE + 1, [`populate ${PAGE} ${PAGE}`]],
    ['to a page border', 1, 2 * PAGE, [`populate ${PAGE} ${PAGE}`]],
    ['to its whole reservation', 1020 * MIB, 1024 * MIB, [`populate ${1020 * MIB} ${4 * MIB}`]],
    ['not at all', 5000, 5000, []],
  ])('populates only the pages that are new: %s', async (_how, from, to, calls) => {
    const { segment, asked } = await bench(from);
    await segment.grow(to);
    expect(asked()).toEqual(calls);
    const mappedBytes = Math.ceil(to / PAGE) * PAGE;
    expect(sizes(segment)).toEqual([to, mappedBytes, mappedBytes]);
    expect(segment.bytes).toBe(1024 * MIB);
  });

  it('does so in steps of 64 MiB, and tells how far it is', async () => {
    const { segment, asked } = await bench(PAGE);
    const told: number[][] = [];
    await segment.grow(130 * MIB, { onProgress: (...progress) => told.push(progress) });
    expect(asked()).toEqual([
      `populate ${PAGE} ${64 * MIB}`,
      `populate ${64 * MIB + PAGE} ${64 * MIB}`,
      `populate ${128 * MIB + PAGE} ${2 * MIB - PAGE}`,
    ]);
    const total = 130 * MIB - PAGE;
    expect(told).toEqual([
      [64 * MIB, total],
      [128 * MIB, total],
      [total, total],
    ]);
  });

  it.each([0, 1, 4999, 1024 * MIB + 1, Number.NaN, Number.POSITIVE_INFINITY])(
    'refuses %d B, beyond its reservation or less than there is, and asks nothing',
    async (payloadBytes) => {
      const { segment, asked } = await bench(5000);
      expect(() => segment.grow(payloadBytes)).toThrow(RangeError);
      expect(asked()).toEqual([]);
      await segment.grow(5001);
    },
  );

  it('first gives back what somebody has touched of the reservation: it is not zero, and nobody was charged', async () => {
    const { os, segment, asked } = await bench(PAGE);
    os.allocatedBytes = () => 2 * PAGE;
    await segment.grow(3 * PAGE);
    await segment.grow(3 * PAGE);
    expect(asked()).toEqual([`discard ${PAGE} ${2 * PAGE}`, `populate ${PAGE} ${2 * PAGE}`]);
    os.allocatedBytes = () => 9 * PAGE;
    failAt(os, 'discard', 1);
    await expect(segment.grow(4 * PAGE)).rejects.toThrow('ENOSPC');
    expect(sizes(segment)).toEqual([3 * PAGE, 3 * PAGE, 3 * PAGE]);
  });

  it('keeps its size when there is no memory, and gives back what it had got, from the end', async () => {
    const { os, allocator, segment, asked } = await bench(5000);
    failAt(os, 'populate', 2);
    await expect(segment.grow(150 * MIB)).rejects.toMatchObject({ call: 'posix_fallocate', code: 'ENOSPC' });
    const first = 2 * PAGE;
    expect(asked().slice(2)).toEqual([
      `discard ${first + 128 * MIB} ${150 * MIB - first - 128 * MIB}`,
      `discard ${first + 64 * MIB} ${64 * MIB}`,
      `discard ${first} ${64 * MIB}`,
    ]);
    expect(sizes(segment)).toEqual([5000, first, first]);
    expect([allocator.unpopulatedBytes, allocator.promisedBytes]).toEqual([0, 0]);
    await segment.grow(150 * MIB);
    expect(sizes(segment)).toEqual([150 * MIB, 150 * MIB, 150 * MIB]);
  });

  it('that is aborted midway stops before the next step, and gives back what it had got', async () => {
    const { os, allocator, segment, asked } = await bench(PAGE);
    const populating = hold(os, 'populate');
    const abort = new AbortController();
    const growing = segment.grow(200 * MIB, { signal: abort.signal });
    await populating.reached;
    abort.abort(new Error('no longer wanted'));
    populating.goOn();
    await expect(growing).rejects.toThrow('no longer wanted');
    expect(asked().filter((call) => call.startsWith('populate'))).toHaveLength(1);
    expect(asked().at(-1)).toBe(`discard ${PAGE} ${64 * MIB}`);
    expect(sizes(segment)).toEqual([PAGE, PAGE, PAGE]);
    expect([allocator.unpopulatedBytes, allocator.promisedBytes]).toEqual([0, 0]);
  });

  it('that is aborted in its last step keeps its old size', async () => {
    const { os, segment, asked } = await bench(PAGE);
    const abort = new AbortController();
    const populating = hold(os, 'populate');
    const growing = segment.grow(2 * PAGE, { signal: abort.signal });
    await populating.reached;
    abort.abort();
    populating.goOn();
    await expect(growing).rejects.toMatchObject({ name: 'AbortError' });
    expect(asked()).toEqual([`populate ${PAGE} ${PAGE}`, `discard ${PAGE} ${PAGE}`]);
    expect(segment.grant.payloadBytes).toBe(PAGE);
  });

  it('takes all of it from the beginning, and the machine knows what is still promised', async () => {
    const { os, allocator, segment } = await bench(PAGE);
    const populating = hold(os, 'populate');
    const growing = segment.grow(100 * MIB);
    await populating.reached;
    expect(sizes(segment)).toEqual([PAGE, PAGE, 100 * MIB]);
    expect([allocator.unpopulatedBytes, allocator.promisedBytes]).toEqual([100 * MIB - PAGE, 100 * MIB - PAGE]);
    populating.goOn();
    await growing;
    expect(sizes(segment)).toEqual([100 * MIB, 100 * MIB, 100 * MIB]);
    expect([allocator.unpopulatedBytes, allocator.promisedBytes]).toEqual([0, 0]);
  });
});

describe('a segment that shrinks', () => {
  it('gives whole pages back from the end, and the rest of the last page with them', async () => {
    const { segment, asked } = await bench(130 * MIB);
    expect(await segment.shrink(MIB + 5)).toEqual({ payloadBytes: MIB + 5, failure: null });
    const kept = MIB + PAGE;
    expect(sizes(segment)).toEqual([MIB + 5, kept, kept]);
    // Steps begin at page borders, but for the first, so that no page is divided between two.
    expect(asked()).toEqual([
      `discard ${129 * MIB} ${MIB}`,
      `discard ${65 * MIB} ${64 * MIB}`,
      `discard ${MIB + 5} ${64 * MIB - 5}`,
    ]);
  });

  it.each([0, -1, 0.5, 5001, Number.NaN])('refuses %d B, and asks nothing', async (payloadBytes) => {
    const { segment, asked } = await bench(5000);
    expect(() => segment.shrink(payloadBytes)).toThrow(RangeError);
    expect(asked()).toEqual([]);
  });

  it('ends where the system would not go on: what is left is in one piece, and says why', async () => {
    const { os, segment } = await bench(130 * MIB);
    failAt(os, 'discard', 2);
    const { payloadBytes, failure } = await segment.shrink(MIB);
    expect(failure).toMatchObject({ code: 'ENOSPC' });
    expect(payloadBytes).toBe(129 * MIB);
    expect(sizes(segment)).toEqual([129 * MIB, 129 * MIB, 129 * MIB]);
    await segment.shrink(MIB);
    expect(sizes(segment)).toEqual([MIB, MIB, MIB]);
  });

  it('has the payload that it had when the very first step fails', async () => {
    const { os, segment } = await bench(5000);
    failAt(os, 'discard', 1);
    expect(await segment.shrink(1)).toMatchObject({ payloadBytes: 5000, failure: { code: 'ENOSPC' } });
    expect(sizes(segment)).toEqual([5000, 2 * PAGE, 2 * PAGE]);
  });
});

describe('a segment that is being resized', () => {
  it('is not resized by somebody else at the same time, and can be afterwards', async () => {
    const { os, segment } = await bench(PAGE);
    const populating = hold(os, 'populate');
    const growing = segment.grow(3 * PAGE);
    expect(() => segment.grow(4 * PAGE)).toThrow('being resized');
    expect(() => segment.shrink(1)).toThrow('being resized');
    populating.goOn();
    await growing;
    await segment.shrink(PAGE);
    expect(segment.grant.payloadBytes).toBe(PAGE);
  });

  it('is not thought busy for ever when its change failed', async () => {
    const { os, segment } = await bench(PAGE);
    failAt(os, 'populate', 1);
    await expect(segment.grow(3 * PAGE)).rejects.toThrow('ENOSPC');
    await segment.grow(3 * PAGE);
  });

  it('is closed when that is over, however it ends', async () => {
    for (const end of ['goOn', 'fail'] as const) {
      const { os, segment } = await bench(PAGE);
      const populating = hold(os, 'populate');
      const growing = segment.grow(3 * PAGE).catch((error: unknown) => error);
      await populating.reached;
      segment.close();
      expect([segment.closed, os.open.size, segment.fd.closed]).toEqual([true, 1, false]);
      if (end === 'fail') populating.fail(noMemory());
      else populating.goOn();
      await growing;
      await Promise.resolve();
      expect([os.open.size, segment.fd.closed], end).toEqual([0, true]);
    }
  });

  it.each([
    ['may have been touched beyond what was populated', { reserveBytes: 1024 * MIB }],
    ['is kept in memory', { reserveBytes: 0, locked: true }],
  ])('is freed by the thread pool when it %s', async (_why, more) => {
    const { segment } = await bench(PAGE, more);
    const background = vi.spyOn(segment.fd, 'closeInBackground');
    segment.close();
    expect(background).toHaveBeenCalledOnce();
  });

  it('refuses every change once it is closed', async () => {
    const { segment, asked } = await bench(PAGE);
    segment.close();
    segment.close();
    expect(() => segment.grow(3 * PAGE)).toThrow('closed');
    expect(() => segment.shrink(1)).toThrow('closed');
    expect(asked()).toEqual([]);
  });
});
