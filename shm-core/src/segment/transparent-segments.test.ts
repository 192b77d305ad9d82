/** Real segments of transparent pages, on a kernel that seems to have no others: the pools are not touched. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { onlineNodes } from '../os/linux/numa.ts';
import { createLinuxSegmentOs } from '../os/linux/segments.ts';
import { SegmentAllocator, type SegmentRequest } from './allocate-segment.ts';
import type { Segment } from './segment.ts';

const MIB = 2 ** 20;
const LABEL = 'transparent-segments';

const os = createLinuxSegmentOs();
const usual = os.pageBytes.bind(os);
os.pageBytes = (kind) => (kind.startsWith('hugetlb') ? undefined : usual(kind));
const allocator = new SegmentAllocator(os);
const NONE = { pageKind: 'hugetlb-2m', reason: 'UNSUPPORTED' };

function allocate(payloadBytes: number, rest: Partial<SegmentRequest> = {}): Promise<Segment> {
  return allocator.allocate({ label: LABEL, payloadBytes, pages: 'auto', admit: () => undefined, ...rest });
}
/** Descriptors of segments that are open. */
const open = (): string[] => readdirSync('/proc/self/fd').filter((fd) => linkOf(fd).includes(LABEL));
const mapped = (): boolean => readFileSync('/proc/self/maps', 'utf8').includes(LABEL);

/** What a descriptor is; the one that lists them is closed already. */
function linkOf(fd: string): string {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`);
  } catch {
    return '';
  }
}

describe.skipIf(usual('transparent-2m') === undefined)(
  'under auto, without hugetlb (skipped without transparent pages)',
  () => {
    it.each([2 * MIB, 2 * MIB + 1, 130 * MIB])(
      '%d B are backed by transparent pages from end to end',
      async (bytes) => {
        const segment = await allocate(bytes);
        const mappedBytes = Math.ceil(bytes / (2 * MIB)) * 2 * MIB;
        expect(segment.grant).toEqual({
          payloadBytes: bytes,
          mappedBytes,
          reservedBytes: mappedBytes,
          pageKind: 'transparent-2m',
          pageBytes: 2 * MIB,
          fallbackReason: 'UNSUPPORTED',
          stepDowns: [NONE],
          locked: false,
          numa: null,
        });
        expect(await os.isCollapsed(segment.fd)).toBe(true);
        expect(os.allocatedBytes(segment.fd)).toBe(mappedBytes);
        expect(() => os.seal(segment.fd)).toThrow('EPERM');
        expect(mapped()).toBe(false);
        segment.close();
      },
    );

    it('several at once all get them', async () => {
      const segments = await Promise.all(Array.from({ length: 4 }, () => allocate(40 * MIB)));
      for (const { fd, grant } of segments) {
        expect(grant.pageKind).toBe('transparent-2m');
        expect(await os.isCollapsed(fd)).toBe(true);
      }
      for (const segment of segments) segment.close();
    });

    it('a segment tells its progress, is kept in memory and near a node when asked, and says so', async () => {
      const told: number[] = [];
      const onProgress = (populatedBytes: number) => told.push(populatedBytes);
      const segment = await allocate(100 * MIB, { onProgress, locked: true, numaNode: 0 });
      expect(told).toEqual([64 * MIB, 100 * MIB]);
      expect(segment.grant).toMatchObject({ pageKind: 'transparent-2m', locked: true });
      expect(segment.grant.numa).toBe(onlineNodes().length > 1 ? 'preferred' : 'unsupported');
      segment.close();
    });

    it('a segment that may grow has base pages, because what comes later could not be vouched for', async () => {
      const segment = await allocate(4 * MIB, { reserveBytes: 8 * MIB });
      expect(segment.grant).toMatchObject({
        pageKind: 'base',
        stepDowns: [NONE, { pageKind: 'transparent-2m', reason: 'UNSUPPORTED' }],
      });
      segment.close();
    });

    it('what was made smaller counts as base pages, and all of it is there when it has grown back', async () => {
      const segment = await allocate(8 * MIB);
      expect(await segment.shrink(3 * MIB + 5)).toEqual({ payloadBytes: 3 * MIB + 5, failure: null });
      const pageBytes = os.basePageBytes;
      const mappedBytes = 3 * MIB + pageBytes;
      expect(segment.grant).toMatchObject({ pageKind: 'base', pageBytes, mappedBytes, reservedBytes: 8 * MIB });
      expect(segment.grant.stepDowns).toEqual([NONE, { pageKind: 'transparent-2m', reason: 'UNSUPPORTED' }]);
      expect(os.allocatedBytes(segment.fd)).toBe(mappedBytes);
      await segment.grow(8 * MIB);
      expect(os.allocatedBytes(segment.fd)).toBe(8 * MIB);
      segment.close();
    });

    it('an abort midway gives everything back', async () => {
      await expect.poll(open).toEqual([]);
      const abort = new AbortController();
      const onProgress = () => abort.abort(new Error('no longer wanted'));
      await expect(allocate(256 * MIB, { onProgress, signal: abort.signal })).rejects.toThrow('no longer wanted');
      expect(open()).toEqual([]);
      expect(mapped()).toBe(false);
      expect(allocator.promisedBytes).toBe(0);
    });
  },
);

describe('where the kernel does not make transparent pages after all', () => {
  it.each(['refused', 'fragmented', 'unverified'] as const)(
    '(%s) the memory that is there is granted as base pages',
    async (why) => {
      const real = { collapse: os.collapse.bind(os), isCollapsed: os.isCollapsed.bind(os) };
      let collapses = 0;
      os.collapse = async () => {
        collapses += 1;
        return why === 'unverified' ? 'collapsed' : why;
      };
      os.isCollapsed = async () => false;
      const asked: unknown[] = [];
      try {
        const segment = await allocate(130 * MIB, { admit: (...args) => asked.push(args) });
        expect(segment.grant).toMatchObject({ pageKind: 'base', pageBytes: os.basePageBytes, mappedBytes: 130 * MIB });
        expect(segment.grant.stepDowns[1]?.reason).toBe(why === 'fragmented' ? 'POOL_EXHAUSTED' : 'UNSUPPORTED');
        expect(os.allocatedBytes(segment.fd)).toBe(130 * MIB);
        // Not asked for again: what was admitted is what is there.
        expect(asked).toEqual([[130 * MIB, 'transparent-2m', 0]]);
        expect(collapses).toBe(why === 'unverified' ? 3 : 1);
        segment.close();
      } finally {
        Object.assign(os, real);
      }
    },
  );
});
