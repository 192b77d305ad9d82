import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { hugePageGauge, readHugePageFigures } from './huge-page-figures.ts';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'lh-pools-'));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const pool = (size: string, [total, free, reserved]: readonly [number, number, number]): void => {
  const folder = join(root, `sys/kernel/mm/hugepages/hugepages-${size}`);
  mkdirSync(folder, { recursive: true });
  for (const [name, value] of Object.entries({ nr: total, free, resv: reserved })) {
    writeFileSync(join(folder, `${name}_hugepages`), `${value}\n`);
  }
};

describe('readHugePageFigures', () => {
  it('tells of each size that the kernel has, and of no other', () => {
    expect(readHugePageFigures(root)).toEqual([]);
    pool('2048kB', [100, 40, 10]);
    const small = { pageKind: 'hugetlb-2m', pageBytes: 2 ** 21, totalPages: 100, freePages: 40, reservedPages: 10 };
    expect(readHugePageFigures(root)).toEqual([small]);
    pool('1048576kB', [3, 2, 1]);
    const large = { pageKind: 'hugetlb-1g', pageBytes: 2 ** 30, totalPages: 3, freePages: 2, reservedPages: 1 };
    expect(readHugePageFigures(root)).toEqual([small, large]);
  });

  it('leaves out a pool that cannot be read', () => {
    pool('2048kB', [1, 1, 0]);
    rmSync(join(root, 'sys/kernel/mm/hugepages/hugepages-2048kB/resv_hugepages'));
    expect(readHugePageFigures(root)).toEqual([]);
  });
});

describe('hugePageGauge', () => {
  it('reads at most once a second, however many ask', () => {
    let nowMs = 5_000;
    let reads = 0;
    const gauge = hugePageGauge(
      () => nowMs,
      () => {
        reads += 1;
        return [];
      },
    );
    for (let index = 0; index < 10; index++) gauge();
    nowMs += 999;
    gauge();
    expect(reads).toBe(1);
    nowMs += 1;
    gauge();
    expect(reads).toBe(2);
  });
});
