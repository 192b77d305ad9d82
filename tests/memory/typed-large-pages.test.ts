// Typed pages on the kernel's own large pages. The pool is made larger for the tests, and put back after them.
import { readFileSync, writeFileSync } from 'node:fs';
import { toExecutable } from '@leasehold/shm-core/executable-pages';
import { LargePagesMissingError, Pages } from '@leasehold/shm-core/pages';
import { afterAll, describe, expect, it } from 'vitest';

const MIB = 2 ** 20;
const POOL = '/sys/kernel/mm/hugepages/hugepages-2048kB';
const WANTED_PAGES = 8;

const count = (name: string): number => Number(readFileSync(`${POOL}/${name}`, 'utf8'));
const spare = (): number => count('free_hugepages') - count('resv_hugepages');

/** Makes the pool large enough, and says how to put it back, or why it cannot be. */
function fillPool(): { undo: () => void } | { skipped: string } {
  try {
    const original = count('nr_hugepages');
    const undo = () => writeFileSync(`${POOL}/nr_hugepages`, String(original));
    writeFileSync(`${POOL}/nr_hugepages`, String(original + Math.max(0, WANTED_PAGES - spare())));
    if (spare() >= WANTED_PAGES) return { undo };
    undo();
    return { skipped: 'memory is too fragmented for large pages' };
  } catch (error) {
    return { skipped: `the pool of large pages cannot be set: ${error instanceof Error ? error.message : error}` };
  }
}

const filled = fillPool();
const skipped = 'skipped' in filled ? ` (skipped: ${filled.skipped})` : '';

describe.skipIf(skipped !== '')(`typed pages of 2 MiB${skipped}`, () => {
  afterAll(() => {
    if ('undo' in filled) filled.undo();
  });

  it('are taken from the pool at once, rounded up, and given back when they are freed', () => {
    const before = spare();
    for (const [bytes, largePages] of [
      [2 * MIB - 1, 1],
      [2 * MIB, 1],
      [2 * MIB + 1, 2],
    ] as const) {
      const pages = Pages.allocate(bytes, { pages: 'require' });
      expect(pages).toMatchObject({
        pageKind: 'hugetlb-2m',
        pageBytes: 2 * MIB,
        requestedBytes: bytes,
        mappedBytes: largePages * 2 * MIB,
        fallbackReason: null,
        locked: true,
      });
      expect(pages.bytes).toHaveLength(bytes);
      expect(before - spare()).toBe(largePages);
      pages.bytes.fill(0xa5);
      expect(pages.bytes.every((byte) => byte === 0xa5)).toBe(true);
      pages.free();
      expect(spare()).toBe(before);
    }
  });

  it('are zero although others were freed before them', () => {
    for (let round = 0; round < 3; round += 1) {
      using pages = Pages.allocate(4 * MIB, { pages: 'auto' });
      expect(pages.pageKind).toBe('hugetlb-2m');
      expect(pages.bytes.every((byte) => byte === 0)).toBe(true);
      pages.bytes.fill(round + 1);
    }
  });

  it('keep their data through every protection, and can hold code', () => {
    using pages = Pages.allocate(2 * MIB, { pages: 'require' });
    pages.bytes[12_345] = 9;
    using again = toExecutable(pages.protect('none').protect('r')).protect('rw');
    expect(again.bytes[12_345]).toBe(9);
  });

  it('read zero after they were decommitted, and stay reserved', () => {
    using pages = Pages.allocate(4 * MIB, { pages: 'require' });
    pages.bytes.fill(1);
    const before = spare();
    expect(pages.decommit(0, 2 * MIB)).toBe(0);
    expect(spare()).toBe(before);
    expect(pages.bytes.subarray(0, 2 * MIB).every((byte) => byte === 0)).toBe(true);
    expect(pages.bytes[2 * MIB]).toBe(1);
  });

  it('take any advice or say that they do not', () => {
    using pages = Pages.allocate(2 * MIB, { pages: 'require' });
    pages.bytes.fill(7);
    for (const advice of ['willneed', 'sequential', 'random', 'cold', 'populate'] as const) {
      expect(pages.advise(advice)).toBeOneOf(['applied', 'unsupported']);
    }
    expect(pages.bytes.every((byte) => byte === 7)).toBe(true);
  });

  it('that the pool does not have are an error with the figures, or base pages with the reason', () => {
    const bytes = (spare() + 1) * 2 * MIB;
    const before = spare();
    expect(() => Pages.allocate(bytes, { pages: 'require' })).toThrow(LargePagesMissingError);
    expect(() => Pages.allocate(bytes, { pages: 'require' })).toThrow(/sysctl vm\.nr_hugepages=\d+$/);
    using pages = Pages.allocate(bytes, { pages: 'auto' });
    expect(pages).toMatchObject({ pageKind: 'base', fallbackReason: 'POOL_EXHAUSTED', locked: false });
    expect(spare()).toBe(before);
  });
});
