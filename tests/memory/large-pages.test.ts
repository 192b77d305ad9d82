/**
 * What kinds of pages this machine really grants: policy × size × state of the pool × user, each looked up in the page tables. Needs root to
 * set the pools, which are put back; the segments are made by processes of root and of an ordinary user.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { createLinuxSegmentOs } from '@leasehold/shm-core/internal';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startWorker } from '../support/processes.ts';
import type { Made, Order } from '../workers/segment-maker.ts';

const MIB = 2 ** 20;
const GIB = 2 ** 30;
const NOBODY = { uid: 65_534, gid: 65_534 };
const MMU_PAGE_BYTES: Readonly<Record<string, number>> = {
  'transparent-2m': 2 * MIB,
  'hugetlb-2m': 2 * MIB,
  'hugetlb-1g': GIB,
};

const os = createLinuxSegmentOs();
const root = process.getuid?.() === 0;
const WHY = 'the pools of large pages can only be set by root';
if (!root) console.warn(`skipped: ${WHY}`);

/** A pool of the kernel's, which can be set and put back. */
class Pool {
  readonly #file: string;
  readonly #usual: string;
  readonly #kind: 'hugetlb-2m' | 'hugetlb-1g';

  constructor(kind: 'hugetlb-2m' | 'hugetlb-1g') {
    const kib = kind === 'hugetlb-1g' ? 1_048_576 : 2048;
    this.#kind = kind;
    this.#file = `/sys/kernel/mm/hugepages/hugepages-${kib}kB/nr_hugepages`;
    this.#usual = readFileSync(this.#file, 'utf8');
  }

  get freePages(): number {
    return os.pagePool(this.#kind)?.freePages ?? 0;
  }
  /** @returns how many pages it has then: fewer when memory is too fragmented */
  set(pages: number): number {
    writeFileSync(this.#file, String(pages));
    return Number(readFileSync(this.#file, 'utf8'));
  }
  restore(): void {
    writeFileSync(this.#file, this.#usual);
  }
}

const hasTransparent = os.pageBytes('transparent-2m') !== undefined;
const POLICIES = ['auto', 'require', 'never'] as const;
const SIZES = [1, 2 * MIB - 1, 2 * MIB, 2 * MIB + 1, 4 * MIB, 4 * MIB + 1];
const POOL_PAGES = 8;

type User = 'root' | 'an ordinary user';
const USERS: readonly User[] = ['root', 'an ordinary user'];
/** A process of that user, which makes segments until the test is over. */
function maker(user: User): (order: Order) => Promise<Made> {
  const worker = startWorker('segment-maker', [], user === 'root' ? {} : NOBODY);
  return (order) => worker.ask<Made>(order);
}

/** By the rules, for a machine with 2 MiB pages and a pool that has all of them or none. */
function expected({ payloadBytes, pages, largePages = 'auto' }: Order, poolPages: number) {
  if (pages === 'never') return { pageKind: 'base', stepDowns: [] };
  let reason: string | null = null;
  if (largePages === 'never') reason = 'DISABLED';
  else if (pages === 'auto' && payloadBytes < 2 * MIB) reason = 'SMALLER_THAN_PAGE';
  else if (poolPages === 0) reason = 'POOL_EXHAUSTED';
  if (reason === null) return { pageKind: 'hugetlb-2m', stepDowns: [] };
  if (pages === 'require') return { reason };
  const stepDowns = [{ pageKind: 'hugetlb-2m', reason }];
  if (reason === 'POOL_EXHAUSTED' && hasTransparent) return { pageKind: 'transparent-2m', stepDowns };
  const second = reason === 'POOL_EXHAUSTED' ? 'UNSUPPORTED' : reason;
  return { pageKind: 'base', stepDowns: [...stepDowns, { pageKind: 'transparent-2m', reason: second }] };
}

describe.skipIf(!root)(`the kinds of pages (skipped without root: ${WHY})`, () => {
  let pool: Pool;
  beforeAll(() => {
    pool = new Pool('hugetlb-2m');
  });
  afterAll(() => pool.restore());

  describe.each([0, POOL_PAGES])('from a pool of %d pages', (pages) => {
    it.each(USERS)('are, for %s, what the rules say, and what the page tables say', async (user) => {
      expect(pool.set(pages)).toBe(pages);
      const make = maker(user);
      for (const policy of POLICIES) {
        for (const payloadBytes of SIZES) {
          for (const largePages of ['auto', 'never'] as const) {
            const order = { payloadBytes, pages: policy, largePages };
            const made = await make(order);
            const line = `${user}, ${JSON.stringify(order)}, pool of ${pages}`;
            expect(made, line).toMatchObject(expected(order, pages));
            if ('reason' in made) continue;
            expect(made.mmuPageBytes, line).toBe(MMU_PAGE_BYTES[made.pageKind] ?? os.basePageBytes);
            expect(pool.freePages, line).toBe(pages);
          }
        }
      }
    });
  });

  it('that are missing are had by doing what the error says', async () => {
    pool.set(0);
    const make = maker('an ordinary user');
    const order: Order = { payloadBytes: 5 * MIB, pages: 'require' };
    const refused = await make(order);
    expect(refused).toMatchObject({ reason: 'POOL_EXHAUSTED', message: expect.stringMatching('3 pages of 2 MiB') });
    const [, wanted] = /sysctl vm\.nr_hugepages=(\d+)/.exec('message' in refused ? refused.message : '') ?? [];
    writeFileSync('/proc/sys/vm/nr_hugepages', wanted ?? '');
    expect(await make(order)).toMatchObject({ pageKind: 'hugetlb-2m', mappedBytes: 6 * MIB });
  });

  it('of 1 GiB are taken first where one can be had, and 2 MiB pages are not touched then', async (test) => {
    const gigabytes = new Pool('hugetlb-1g');
    try {
      if (gigabytes.set(1) < 1) test.skip('memory is too fragmented for a page of 1 GiB');
      pool.set(POOL_PAGES);
      const asRoot = maker('root');
      const small = await asRoot({ payloadBytes: GIB - 1, pages: 'require' });
      expect(small).toMatchObject({ reason: 'POOL_EXHAUSTED', message: expect.not.stringContaining('1 GiB') });
      const large = await asRoot({ payloadBytes: 3 * GIB, pages: 'require' });
      const file = '3 to /sys/kernel/mm/hugepages/hugepages-1048576kB/nr_hugepages';
      expect(large).toMatchObject({ reason: 'POOL_EXHAUSTED', message: expect.stringContaining(file) });
      for (const user of USERS) {
        const make = maker(user);
        for (const pages of ['auto', 'require'] as const) {
          expect(await make({ payloadBytes: GIB, pages }), `${user}, ${pages}`).toEqual({
            pageKind: 'hugetlb-1g',
            mappedBytes: GIB,
            stepDowns: [],
            fallbackReason: null,
            mmuPageBytes: GIB,
          });
        }
      }
      expect(gigabytes.freePages).toBe(1);
      expect(pool.freePages).toBe(POOL_PAGES);
    } finally {
      gigabytes.restore();
    }
  });
});
