/** Real segments of the kernel, of base pages and of huge pages. The only unit test that changes the pool of huge pages. */
import { readFileSync, writeFileSync } from 'node:fs';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { hugePagePool } from '../os/linux/huge-pages.ts';
import { createLinuxSegmentOs } from '../os/linux/segments.ts';
import { openFds } from '../os/testing/temporary-directory.ts';
import { SegmentAllocator, type SegmentRequest } from './allocate-segment.ts';
import type { Segment } from './segment.ts';

const MIB = 2 ** 20;
const NR_HUGEPAGES = '/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages';
const NEEDED_PAGES = 8;

const os = createLinuxSegmentOs();
const allocator = new SegmentAllocator(os);

function allocate(payloadBytes: number, pages: SegmentRequest['pages']): Promise<Segment> {
  return allocator.allocate({ label: 'leasehold-test', payloadBytes, pages, admit: () => undefined });
}

const freePages = () => hugePagePool('hugetlb-2m')?.freePages ?? 0;

describe('a segment of base pages', () => {
  it('is populated, sealed and readable through both descriptors', async () => {
    const before = openFds();
    const segment = await allocate(65 * MIB + 5, 'never');
    expect(os.sizeOf(segment.fd)).toBe(segment.bytes);
    expect(() => os.seal(segment.fd)).toThrow('EPERM');
    const range = os.map(segment.fd, segment.bytes, 'write', segment.grant.pageKind);
    range.bytes(65 * MIB, 1)[0] = 4;
    const reader = segment.openReadOnly();
    const readable = os.map(reader, segment.bytes, 'read', segment.grant.pageKind);
    reader.close();
    expect(readable.bytes(65 * MIB, 1)[0]).toBe(4);
    range.release();
    readable.release();
    segment.close();
    // Large segments are closed in the background.
    await expect.poll(openFds).toEqual(before);
  });

  it('that is aborted midway gives its memory back', async () => {
    const before = openFds();
    const abort = new AbortController();
    const allocating = new SegmentAllocator(os).allocate({
      label: 'leasehold-test',
      payloadBytes: 256 * MIB,
      pages: 'never',
      signal: abort.signal,
      admit: () => setImmediate(() => abort.abort()),
    });
    await expect(allocating).rejects.toMatchObject({ name: 'AbortError' });
    expect(openFds()).toEqual(before);
  });
});

/** Sets huge pages aside; the reason why not when it cannot. */
function reserveHugePages(): { undo: () => void } | { skipped: string } {
  try {
    const total = () => Number(readFileSync(NR_HUGEPAGES, 'utf8'));
    const usual = total();
    writeFileSync(NR_HUGEPAGES, `${usual + NEEDED_PAGES}`);
    const added = total() - usual;
    // Not to what it was: somebody else may have changed the pool meanwhile.
    const undo = () => writeFileSync(NR_HUGEPAGES, `${Math.max(0, total() - added)}`);
    if (added >= NEEDED_PAGES) return { undo };
    undo();
    return { skipped: 'memory is too fragmented for huge pages' };
  } catch (error) {
    return { skipped: `huge pages cannot be reserved: ${error instanceof Error ? error.message : error}` };
  }
}

const reserved = reserveHugePages();
const skipped = 'skipped' in reserved ? ` (skipped: ${reserved.skipped})` : '';

describe.skipIf(skipped !== '')(`a segment of huge pages${skipped}`, () => {
  afterAll(() => {
    if ('undo' in reserved) reserved.undo();
  });
  // Segments are freed in the background: each test begins when the pages of the one before are back.
  const atRest = freePages();
  beforeEach(async () => {
    await expect.poll(freePages).toBe(atRest);
  });

  it('takes whole pages out of the pool and gives them back', async () => {
    const before = freePages();
    const segment = await allocate(3 * MIB, 'require');
    expect(segment.grant).toMatchObject({
      payloadBytes: 3 * MIB,
      mappedBytes: 4 * MIB,
      reservedBytes: 4 * MIB,
      locked: true,
      pageKind: 'hugetlb-2m',
      pageBytes: 2 * MIB,
      fallbackReason: null,
    });
    expect(freePages()).toBe(before - 2);
    segment.close();
    await expect.poll(freePages).toBe(before);
  });

  it('is mapped by huge pages, and its released addresses serve the next one', async () => {
    for (let round = 0; round < 5; round += 1) {
      await expect.poll(freePages).toBe(atRest);
      const segment = await allocate(4 * MIB, 'auto');
      expect(segment.grant.pageKind).toBe('hugetlb-2m');
      const range = os.map(segment.fd, segment.bytes, 'write', 'hugetlb-2m');
      const words = range.words32(2 * MIB, 1);
      expect(words[0]).toBe(0);
      words[0] = round + 1;
      const pageSizes = readFileSync('/proc/self/smaps', 'utf8').split('/memfd:leasehold-test')[1];
      expect(pageSizes).toMatch(/KernelPageSize:\s+2048 kB/);
      const dangling = new Uint8Array(range.view(0, 4096).transfer());
      range.release();
      expect(dangling[0]).toBe(0);
      segment.close();
    }
  });

  it('falls back, or says what to do, when the pool is short', async () => {
    const tooMuch = (freePages() + 1) * 2 * MIB;
    const segment = await allocate(tooMuch, 'auto');
    expect(segment.grant).toMatchObject({ fallbackReason: 'POOL_EXHAUSTED' });
    expect(segment.grant.pageKind).not.toMatch(/hugetlb/);
    segment.close();
    await expect(allocate(tooMuch, 'require')).rejects.toThrow(/sysctl vm\.nr_hugepages=\d+/);
  });

  it('can be had again right after it was given back', async () => {
    const all = freePages() * 2 * MIB;
    for (let round = 0; round < 4; round += 1) (await allocate(all, 'require')).close();
  });

  it('grows and shrinks by exactly the pages of the pool that it should', async () => {
    const before = freePages();
    const segment = await allocator.allocate({
      label: 'leasehold-test',
      payloadBytes: 1,
      reserveBytes: 16 * MIB,
      pages: 'require',
      admit: () => undefined,
    });
    const takes = () => before - freePages();
    const range = os.map(segment.fd, segment.bytes, 'write', 'hugetlb-2m');
    expect(hugePagePool('hugetlb-2m')?.reservedPages).toBe(0);
    expect(takes()).toBe(1);
    await segment.grow(6 * MIB);
    expect(takes()).toBe(3);
    range.bytes(0, 6 * MIB).fill(7);
    await segment.shrink(2 * MIB + 1);
    expect(takes()).toBe(2);
    expect(os.allocatedBytes(segment.fd)).toBe(4 * MIB);
    // What is left of the last page is zero, what is before it untouched.
    expect([...range.bytes(2 * MIB, 3)]).toEqual([7, 0, 0]);
    range.release();
    segment.close();
    await expect.poll(freePages).toBe(before);
  });

  it('that the pool cannot grow keeps its size, and takes no page from others meanwhile', async () => {
    const before = freePages();
    const moreThanThereIs = (before + 1) * 2 * MIB;
    const request = {
      label: 'leasehold-test',
      payloadBytes: 1,
      reserveBytes: moreThanThereIs,
      pages: 'require',
    } as const;
    const segment = await allocator.allocate({ ...request, admit: () => undefined });
    const growing = segment.grow(moreThanThereIs);
    expect(freePages()).toBe(before - 1);
    await expect(growing).rejects.toMatchObject({
      reason: 'POOL_EXHAUSTED',
      message: expect.stringContaining(`sysctl vm.nr_hugepages=${(hugePagePool('hugetlb-2m')?.totalPages ?? 0) + 1}`),
    });
    expect(segment.grant).toMatchObject({ payloadBytes: 1, mappedBytes: 2 * MIB });
    expect(freePages()).toBe(before - 1);
    await segment.grow(4 * MIB);
    expect(freePages()).toBe(before - 2);
    segment.close();
    await expect.poll(freePages).toBe(before);
  });

  it('that the pool cannot fill after all is an errno, and takes nothing', async () => {
    const before = freePages();
    const bytes = (before + 1) * 2 * MIB;
    const fd = os.create('leasehold-test', bytes, 'hugetlb-2m');
    await expect(os.populate(fd, 0, bytes)).rejects.toMatchObject({ call: 'posix_fallocate', code: 'ENOSPC' });
    const range = os.map(fd, bytes, 'write', 'hugetlb-2m');
    expect(hugePagePool('hugetlb-2m')?.reservedPages).toBe(0);
    // Where a touch would be SIGBUS.
    expect(() => range.populate(0, bytes)).toThrow(expect.objectContaining({ call: 'madvise', code: 'EFAULT' }));
    range.release();
    fd.close();
    expect(freePages()).toBe(before);
  });
});
