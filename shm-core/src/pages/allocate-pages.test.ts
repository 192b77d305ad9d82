import { describe, expect, it } from 'vitest';
import { OsError, type PageKind, type PagePool } from '../os/os.ts';
import type { PrivateMemory, PrivateRange } from '../os/private-memory.ts';
import { type AllocateOptions, allocatePages } from './allocate-pages.ts';
import type { PageGrant } from './page-block.ts';

const PAGE = 16_384;
const LARGE = 2 ** 21;

const outOf = (call: string, code: string): OsError => new OsError(call, 0, code);
const pool = (freePages: number, reservedPages = 0): PagePool => ({ totalPages: 8, freePages, reservedPages });

/** What the fake machine is like. */
interface Machine {
  readonly largePages?: boolean;
  readonly pool?: PagePool;
  /** What mapping large pages fails with. */
  readonly largeFailure?: OsError;
  readonly lockFailure?: OsError;
  readonly transparent?: boolean;
  /** Where ranges begin. */
  readonly address?: number;
}

/** Records what was asked of it, in order. */
class FakeMemory implements PrivateMemory {
  readonly calls: string[] = [];
  readonly #machine: Machine;

  constructor(machine: Machine = {}) {
    this.#machine = machine;
  }

  pageBytes(kind: PageKind): number | undefined {
    this.calls.push(`pageBytes ${kind}`);
    if (kind === 'base') return PAGE;
    return kind === 'hugetlb-2m' && this.#machine.largePages !== false ? LARGE : undefined;
  }

  pagePool(kind: PageKind): PagePool | undefined {
    this.calls.push(`pagePool ${kind}`);
    return this.#machine.pool;
  }

  map(bytes: number, kind: PageKind): PrivateRange {
    this.calls.push(`map ${bytes} ${kind}`);
    if (kind !== 'base' && this.#machine.largeFailure !== undefined) throw this.#machine.largeFailure;
    const { calls } = this;
    const { transparent = false, lockFailure, address = LARGE } = this.#machine;
    return {
      address,
      mappedBytes: bytes,
      view: (_offset, length) => new ArrayBuffer(length),
      protect: (protection) => void calls.push(`protect ${protection}`),
      advise: (advice) => {
        calls.push(`advise ${advice}`);
        return 'applied';
      },
      populate: () => undefined,
      discard: (offset, length) => void calls.push(`discard ${offset} ${length}`),
      lock: () => {
        calls.push('lock');
        if (lockFailure !== undefined) throw lockFailure;
      },
      preferTransparent: () => {
        calls.push('preferTransparent');
        return 'applied';
      },
      transparentBytes: () => {
        calls.push('transparentBytes');
        return transparent ? Math.floor(bytes / LARGE) * LARGE : 0;
      },
      release: () => void calls.push('release'),
    };
  }
}

function granted(machine: Machine, bytes: number, options: AllocateOptions): Partial<PageGrant> {
  const { pageKind, fallbackReason, mappedBytes } = allocatePages(new FakeMemory(machine), bytes, options).grant;
  return { pageKind, fallbackReason, mappedBytes };
}

const base = (fallbackReason: PageGrant['fallbackReason'], bytes: number): Partial<PageGrant> => ({
  pageKind: 'base',
  fallbackReason,
  mappedBytes: Math.ceil(bytes / PAGE) * PAGE,
});

describe('which pages are granted', () => {
  it('are base pages without a reason when nothing else was asked for, and no question is put to the machine', () => {
    for (const options of [undefined, {}, { pages: 'never' }] as const) {
      const memory = new FakeMemory({ pool: pool(8) });
      expect(allocatePages(memory, 5 * LARGE, options).grant).toMatchObject(base(null, 5 * LARGE));
      expect(memory.calls).toEqual(['pageBytes base', `map ${5 * LARGE} base`]);
    }
  });

  it('are large ones where they can be had, rounded up to them', () => {
    const large = { pageKind: 'hugetlb-2m', fallbackReason: null };
    expect(granted({ pool: pool(2) }, LARGE + 1, { pages: 'auto' })).toEqual({ ...large, mappedBytes: 2 * LARGE });
    expect(granted({ pool: pool(1) }, 1, { pages: 'require' })).toEqual({ ...large, mappedBytes: LARGE });
    expect(granted({}, LARGE, { pages: 'auto' })).toEqual({ ...large, mappedBytes: LARGE });
  });

  it.each<[string, Machine, number, PageGrant['fallbackReason']]>([
    ['one is larger than the request', { pool: pool(8) }, LARGE - 1, 'SMALLER_THAN_PAGE'],
    ['the system has none', { largePages: false }, LARGE, 'UNSUPPORTED'],
    ['too few are free', { pool: pool(1) }, LARGE + 1, 'POOL_EXHAUSTED'],
    ['the free ones are promised to others', { pool: pool(4, 4) }, LARGE, 'POOL_EXHAUSTED'],
    ['they were taken in between', { largeFailure: outOf('mmap', 'ENOMEM') }, LARGE, 'POOL_EXHAUSTED'],
    ['a control group is full', { largeFailure: outOf('madvise', 'EFAULT') }, LARGE, 'POOL_EXHAUSTED'],
    ['they are not for us', { largeFailure: outOf('mmap', 'EPERM') }, LARGE, 'NO_PRIVILEGE'],
    ['the kernel does not know them', { largeFailure: outOf('mmap', 'EINVAL') }, LARGE, 'UNSUPPORTED'],
  ])('are base pages with a reason when %s', (_case, machine, bytes, reason) => {
    expect(granted(machine, bytes, { pages: 'auto' })).toEqual(base(reason, bytes));
    if (reason === 'SMALLER_THAN_PAGE') return;
    expect(() => allocatePages(new FakeMemory(machine), bytes, { pages: 'require' })).toThrow(
      expect.objectContaining({ name: 'LargePagesMissingError', reason, neededPages: Math.ceil(bytes / LARGE) }),
    );
  });

  it('that were required and are missing come with what to do', () => {
    expect(() => allocatePages(new FakeMemory({ pool: pool(3, 1) }), 5 * LARGE, { pages: 'require' })).toThrow(
      '5 pages of 2 MiB are required, but 2 of 8 are free: sysctl vm.nr_hugepages=11',
    );
  });

  it('are none when a failure has nothing to do with their size', () => {
    const failure = outOf('mmap', 'EAGAIN');
    expect(() => allocatePages(new FakeMemory({ largeFailure: failure }), LARGE, { pages: 'auto' })).toThrow(failure);
  });

  it('are none of a policy that does not exist', () => {
    const pages = 'always' as 'auto';
    expect(() => allocatePages(new FakeMemory(), LARGE, { pages })).toThrow(
      'pages: never, auto or require, not always',
    );
  });
});

describe('a size', () => {
  it('that cannot be is refused before anything is asked', () => {
    for (const bytes of [0, -1, 0.5, Number.NaN, 2 ** 53]) {
      const memory = new FakeMemory();
      expect(() => allocatePages(memory, bytes, { pages: 'auto' })).toThrow(RangeError);
      expect(memory.calls).toEqual([]);
    }
  });

  it('that overflows when it is rounded up is refused before anything is mapped', () => {
    for (const pages of ['never', 'auto', 'require'] as const) {
      const memory = new FakeMemory();
      expect(() => allocatePages(memory, Number.MAX_SAFE_INTEGER, { pages })).toThrow(RangeError);
      expect(memory.calls.filter((call) => call.startsWith('map'))).toEqual([]);
    }
  });
});

describe('locked memory', () => {
  it('that cannot be locked is given back', () => {
    const lockFailure = outOf('mlock', 'ENOMEM');
    const memory = new FakeMemory({ lockFailure });
    expect(() => allocatePages(memory, 1, { locked: true })).toThrow(lockFailure);
    expect(memory.calls.slice(-2)).toEqual(['lock', 'release']);
  });

  it('needs no locking when its pages are large', () => {
    const memory = new FakeMemory({ pool: pool(8) });
    expect(allocatePages(memory, LARGE, { pages: 'require' }).grant.locked).toBe(true);
    expect(memory.calls).not.toContain('lock');
  });
});

describe('transparent pages', () => {
  const NO_POOL = { pool: pool(0) };

  it('are asked for by auto alone, and before the first touch', () => {
    const memory = new FakeMemory(NO_POOL);
    allocatePages(memory, LARGE, { pages: 'auto', locked: true });
    expect(memory.calls.slice(-3)).toEqual(['preferTransparent', 'lock', 'transparentBytes']);
    const never = new FakeMemory(NO_POOL);
    allocatePages(never, LARGE, { locked: true }).advise('populate');
    expect(never.calls).not.toContain('transparentBytes');
  });

  it('are reported once they are there, and not any more once some were given back', () => {
    const block = allocatePages(new FakeMemory({ ...NO_POOL, transparent: true }), 3 * LARGE, { pages: 'auto' });
    expect(block.grant.pageKind).toBe('base');
    block.advise('random');
    expect(block.grant.pageKind).toBe('base');
    block.advise('populate');
    expect(block.grant).toMatchObject({
      pageKind: 'transparent-2m',
      pageBytes: PAGE,
      fallbackReason: 'POOL_EXHAUSTED',
    });
    block.decommit(0, PAGE);
    expect(block.grant.pageKind).toBe('base');
  });

  it('are not reported when the kernel shows none, or none could fit between the borders of large pages', () => {
    const none = allocatePages(new FakeMemory(NO_POOL), 3 * LARGE, { pages: 'auto' });
    none.advise('populate');
    expect(none.grant.pageKind).toBe('base');
    const machine = { ...NO_POOL, transparent: true, address: LARGE + PAGE };
    const unaligned = allocatePages(new FakeMemory(machine), LARGE, { pages: 'auto' });
    unaligned.advise('populate');
    expect(unaligned.grant.pageKind).toBe('base');
  });
});
