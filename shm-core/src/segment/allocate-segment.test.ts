import { describe, expect, it } from 'vitest';
import { OsError, type OwnedFd, type PageKind, type PagePool } from '../os/os.ts';
import { SegmentAllocator, type SegmentRequest } from './allocate-segment.ts';
import { LargePagesUnavailable } from './large-pages.ts';
import { type Platform, SpyOs } from './testing/spy-os.ts';

const MIB = 2 ** 20;

function request(
  payloadBytes: number,
  pages: SegmentRequest['pages'],
  rest: Partial<SegmentRequest> = {},
): SegmentRequest {
  return { label: 'test', payloadBytes, pages, admit: () => undefined, ...rest };
}

const OK = { pageKind: 'hugetlb-2m', pageBytes: 2 * MIB, fallbackReason: null };
const base = (fallbackReason: string | null) => ({ pageKind: 'base', pageBytes: 4096, fallbackReason });
const SHORT: PagePool = { totalPages: 4, freePages: 3, reservedPages: 2 };

describe('the page kind that is granted', () => {
  it.each<[SegmentRequest['pages'], number, Platform, object]>([
    ['never', 8 * MIB, {}, base(null)],
    ['never', 1, {}, base(null)],
    ['auto', 2 * MIB - 1, {}, base('SMALLER_THAN_PAGE')],
    ['auto', 2 * MIB - 1, { supported: false }, base('SMALLER_THAN_PAGE')],
    ['auto', 2 * MIB, {}, OK],
    ['auto', 2 * MIB + 1, {}, OK],
    ['auto', 2 * MIB, { supported: false }, base('UNSUPPORTED')],
    ['auto', 2 * MIB, { pool: SHORT }, OK],
    ['auto', 4 * MIB, { pool: SHORT }, base('POOL_EXHAUSTED')],
    ['auto', 4 * MIB, { createFails: 'EPERM' }, base('NO_PRIVILEGE')],
    ['auto', 4 * MIB, { createFails: 'ENODEV' }, base('UNSUPPORTED')],
    ['auto', 4 * MIB, { populateFails: 'ENOSPC' }, base('POOL_EXHAUSTED')],
    ['require', 1, {}, OK],
    ['require', 4 * MIB, {}, OK],
  ])('for %s and %d B on %j is right', async (pages, payloadBytes, platform, expected) => {
    const os = new SpyOs(platform);
    const segment = await new SegmentAllocator(os).allocate(request(payloadBytes, pages));
    expect(segment.grant).toMatchObject({ payloadBytes, ...expected });
    expect(segment.bytes % segment.grant.pageBytes).toBe(0);
    expect(segment.bytes - payloadBytes).toBeLessThan(segment.grant.pageBytes);
    expect([...os.open.values()]).toEqual([segment.grant.pageKind]);
    segment.close();
    expect(os.open.size).toBe(0);
  });

  it('for what can grow is hugetlb only when the pool has enough for all of it, unless it insists', async () => {
    const pool: PagePool = { totalPages: 8, freePages: 8, reservedPages: 0 };
    const granted = async (pages: SegmentRequest['pages'], reserveBytes: number) => {
      const segment = await new SegmentAllocator(new SpyOs({ pool })).allocate(
        request(4 * MIB, pages, { reserveBytes }),
      );
      return segment.grant;
    };
    expect(await granted('auto', 16 * MIB)).toMatchObject(OK);
    expect(await granted('auto', 16 * MIB + 1)).toMatchObject(base('POOL_EXHAUSTED'));
    expect(await granted('require', 1024 * MIB)).toMatchObject(OK);
  });

  it.each<[Platform, string, RegExp]>([
    [{ supported: false }, 'UNSUPPORTED', /no such pages/],
    [{ createFails: 'EPERM' }, 'NO_PRIVILEGE', /pages: auto/],
    [
      { pool: SHORT },
      'POOL_EXHAUSTED',
      /5 pages of 2 MiB are required, but 1 of 4 are free: `sysctl vm.nr_hugepages=8`, or .* --huge-pages-reserve 10MiB`$/,
    ],
    [{ createFails: 'EACCES' }, 'NO_PRIVILEGE', /hugetlb_shm_group/],
    [{ populateFails: 'ENOSPC' }, 'POOL_EXHAUSTED', /sysctl vm.nr_hugepages=/],
  ])('is an error under require on %j, with what to do', async (platform, reason, message) => {
    const os = new SpyOs(platform);
    const failure = new SegmentAllocator(os).allocate(request(9 * MIB, 'require'));
    await expect(failure).rejects.toThrow(LargePagesUnavailable);
    await expect(failure).rejects.toMatchObject({ reason, neededPages: 5, message: expect.stringMatching(message) });
    expect(os.open.size).toBe(0);
    expect(os.calls.some((call) => call.startsWith('create base'))).toBe(false);
  });

  it('is looked for by no probe at all under never, nor by auto below one page', async () => {
    for (const [payloadBytes, pages] of [
      [64 * MIB, 'never'],
      [MIB, 'auto'],
    ] as const) {
      const os = new SpyOs();
      await new SegmentAllocator(os).allocate(request(payloadBytes, pages));
      expect(os.calls).toEqual([`create base ${payloadBytes}`, `populate 0 ${payloadBytes}`, 'seal']);
    }
  });

  it('does not hide faults that say nothing about large pages', async () => {
    const os = new SpyOs({ createFails: 'EMFILE' });
    await expect(new SegmentAllocator(os).allocate(request(4 * MIB, 'auto'))).rejects.toMatchObject({ code: 'EMFILE' });
  });
});

describe('sizes', () => {
  it.each([0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53 - 1, 2 ** 53])(
    'of %d B are refused before anything is made',
    async (payloadBytes) => {
      for (const pages of ['never', 'auto', 'require'] as const) {
        const os = new SpyOs({ pool: { totalPages: 2 ** 40, freePages: 2 ** 40, reservedPages: 0 } });
        await expect(new SegmentAllocator(os).allocate(request(payloadBytes, pages))).rejects.toThrow(RangeError);
        expect(os.calls.some((call) => call.startsWith('create'))).toBe(false);
      }
    },
  );
});

describe('admission', () => {
  it('is asked with the rounded size and the kind, before anything is made, and again when auto falls back', async () => {
    const os = new SpyOs({ createFails: 'EPERM' });
    const asked: unknown[] = [];
    const admit = (mappedBytes: number, kind: PageKind) => asked.push([mappedBytes, kind, os.open.size]);
    await new SegmentAllocator(os).allocate(request(3 * MIB + 1, 'auto', { admit }));
    expect(asked).toEqual([
      [4 * MIB, 'hugetlb-2m', 0],
      [3 * MIB + 4096, 'base', 0],
    ]);
  });

  it('that is refused makes nothing and is not taken for missing large pages', async () => {
    for (const pages of ['never', 'auto', 'require'] as const) {
      const os = new SpyOs();
      const admit = () => {
        throw new Error('quota');
      };
      await expect(new SegmentAllocator(os).allocate(request(4 * MIB, pages, { admit }))).rejects.toThrow('quota');
      expect(os.calls.some((call) => call.startsWith('create'))).toBe(false);
    }
  });

  it('is told what others were admitted for and have not taken yet', async () => {
    const os = new SpyOs();
    const allocator = new SegmentAllocator(os);
    const told: number[] = [];
    const admit = (_mapped: number, _kind: PageKind, unpopulatedBytes: number) => told.push(unpopulatedBytes);
    const first = allocator.allocate(request(100 * MIB, 'never', { admit }));
    const second = allocator.allocate(request(MIB, 'never', { admit }));
    const large = allocator.allocate(request(4 * MIB, 'require', { admit }));
    await Promise.all([first, second, large]);
    await allocator.allocate(request(MIB, 'never', { admit }));
    expect(told).toEqual([0, 100 * MIB, 101 * MIB, 0]);
  });
});

describe('population', () => {
  it('goes in steps of 64 MiB, each after the one before', async () => {
    const os = new SpyOs();
    await new SegmentAllocator(os).allocate(request(130 * MIB, 'never'));
    expect(os.calls).toEqual([
      `create base ${130 * MIB}`,
      `populate 0 ${64 * MIB}`,
      `populate ${64 * MIB} ${64 * MIB}`,
      `populate ${128 * MIB} ${2 * MIB}`,
      'seal',
    ]);
  });

  it('of several segments runs one step at a time, and a smaller one does not wait for all of a larger one', async () => {
    const os = new SpyOs();
    let running = 0;
    os.populate = async (_fd, offset, bytes) => {
      os.calls.push(`populate ${offset} ${bytes}`);
      running += 1;
      expect(running).toBe(1);
      await new Promise((resolve) => setImmediate(resolve));
      running -= 1;
    };
    const allocator = new SegmentAllocator(os);
    await Promise.all([allocator.allocate(request(192 * MIB, 'never')), allocator.allocate(request(4 * MIB, 'never'))]);
    const steps = os.calls.filter((call) => call.startsWith('populate'));
    expect(steps.indexOf(`populate 0 ${4 * MIB}`)).toBe(1);
    expect(steps).toHaveLength(4);
  });

  it('of a little waits for no large one, however many of those there are', async () => {
    const os = new SpyOs();
    const { promise: goOn, resolve } = Promise.withResolvers<void>();
    os.populate = (_fd, _offset, bytes) => (bytes > MIB ? goOn : Promise.resolve());
    const allocator = new SegmentAllocator(os);
    const large = [2, 64, 192].map((mebibytes) => allocator.allocate(request(mebibytes * MIB, 'never')));
    await allocator.allocate(request(4096, 'never'));
    await allocator.allocate(request(MIB, 'never'));
    resolve();
    await Promise.all(large);
  });

  it('that is aborted stops before the next step, closes what was made and holds nobody up', async () => {
    const os = new SpyOs();
    const abort = new AbortController();
    const populated: number[] = [];
    os.populate = async (_fd, offset) => {
      populated.push(offset);
      if (populated.length === 2) abort.abort(new Error('no longer wanted'));
    };
    const allocator = new SegmentAllocator(os);
    const aborted = allocator.allocate(request(640 * MIB, 'never', { signal: abort.signal }));
    await expect(aborted).rejects.toThrow('no longer wanted');
    expect(populated).toEqual([0, 64 * MIB]);
    expect(os.open.size).toBe(0);
    const told: number[] = [];
    await allocator.allocate(request(1, 'never', { admit: (_mapped, _kind, unpopulated) => told.push(unpopulated) }));
    expect(told).toEqual([0]);
  });

  it('that was aborted in its last step hands out nothing', async () => {
    const os = new SpyOs();
    const abort = new AbortController();
    os.populate = async () => abort.abort();
    const aborted = new SegmentAllocator(os).allocate(request(1, 'never', { signal: abort.signal }));
    await expect(aborted).rejects.toMatchObject({ name: 'AbortError' });
    expect(os.open.size).toBe(0);
  });

  it('gives back what it had got without stopping this thread, and is over when that is', async () => {
    const os = new SpyOs();
    const abort = new AbortController();
    const freed = Promise.withResolvers<void>();
    os.populate = async (fd) => {
      const closeNow = fd.close.bind(fd);
      Object.assign(fd, { close: undefined, closeInBackground: () => freed.promise.then(closeNow) });
      abort.abort();
    };
    let over = false;
    const aborted = new SegmentAllocator(os).allocate(request(4096 * MIB, 'never', { signal: abort.signal }));
    const refused = expect(aborted.finally(() => (over = true))).rejects.toMatchObject({ name: 'AbortError' });
    await new Promise(setImmediate);
    expect(over).toBe(false);
    freed.resolve();
    await refused;
    expect(os.open.size).toBe(0);
  });

  it('that was aborted while it was looked at, or being locked, hands out nothing', async () => {
    for (const late of ['isCollapsed', 'keepResident'] as const) {
      const os = new SpyOs({ supported: false, transparent: 'collapsed' });
      const abort = new AbortController();
      const usual = os[late].bind(os);
      Object.assign(os, {
        [late]: (fd: OwnedFd) => {
          abort.abort();
          return usual(fd);
        },
      });
      const wanted = request(4 * MIB, 'auto', { locked: true, signal: abort.signal });
      await expect(new SegmentAllocator(os).allocate(wanted)).rejects.toMatchObject({ name: 'AbortError' });
      expect(os.open.size, late).toBe(0);
    }
  });

  it('is not begun for a signal that has aborted already', async () => {
    const os = new SpyOs();
    const signal = AbortSignal.abort();
    await expect(new SegmentAllocator(os).allocate(request(1, 'auto', { signal }))).rejects.toMatchObject({
      name: 'AbortError',
    });
    expect(os.calls).toEqual([]);
  });

  it('that fails closes the segment and lets the next one through', async () => {
    const os = new SpyOs();
    const populate = os.populate;
    os.populate = async () => {
      throw new OsError('posix_fallocate', 28, 'ENOSPC');
    };
    const allocator = new SegmentAllocator(os);
    await expect(allocator.allocate(request(1, 'never'))).rejects.toMatchObject({ code: 'ENOSPC' });
    expect(os.open.size).toBe(0);
    os.populate = populate;
    await allocator.allocate(request(1, 'never'));
  });
});

describe('a segment', () => {
  it('opens a read-only descriptor for each reader, keeps none, and opens none when it is closed', async () => {
    const os = new SpyOs();
    const segment = await new SegmentAllocator(os).allocate(request(1, 'never'));
    expect(os.calls).not.toContain('openReadOnly');
    const readers = [segment.openReadOnly(), segment.openReadOnly()];
    expect(os.calls.filter((call) => call === 'openReadOnly')).toHaveLength(2);
    for (const reader of readers) reader.close();
    segment.close();
    expect(os.open.size).toBe(0);
    expect(() => segment.openReadOnly()).toThrow('closed');
  });
});
