import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { openFds, useTemporaryDirectory } from '../testing/temporary-directory.ts';
import { createLinuxSegmentOs } from './segments.ts';
import { smapsFigure } from './smaps.ts';
import { TRANSPARENT_PAGE_BYTES, transparentPageBytes } from './transparent-pages.ts';

const PAGE = TRANSPARENT_PAGE_BYTES;
const PAGES = 20;
const BYTES = PAGES * PAGE;
const LABEL = 'transparent-test';

const root = useTemporaryDirectory();

/** A system whose pages have `pageBytes`, with this line in `shmem_enabled`. */
function system(pageBytes: string, shmem: string): string {
  const folder = join(root(), 'sys/kernel/mm/transparent_hugepage');
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'hpage_pmd_size'), pageBytes);
  writeFileSync(join(folder, 'shmem_enabled'), shmem);
  return root();
}

describe('transparent pages', () => {
  it('of 2 MiB are there, whatever shared memory gets by itself', () => {
    for (const shmem of ['[never]', '[always]', '[advise]', '[within_size]', '[force]']) {
      const words = 'always within_size advise never deny force'.replace(shmem.slice(1, -1), shmem);
      expect(transparentPageBytes(system('2097152\n', `${words}\n`)), words).toBe(2 ** 21);
    }
  });

  it('are not there when the kernel denies them, has other sizes only, or none', () => {
    expect(transparentPageBytes(system('2097152\n', 'always within_size advise never [deny] force\n'))).toBeUndefined();
    expect(
      transparentPageBytes(system('536870912\n', 'always within_size advise [never] deny force\n')),
    ).toBeUndefined();
    expect(transparentPageBytes(join(root(), 'elsewhere'))).toBeUndefined();
  });
});

describe('the figure in smaps', () => {
  const area = (begin: string, kib: number) =>
    [`${begin} rw-s 0 00:01 5 /memfd:x`, 'Rss: 8192 kB', `ShmemPmdMapped:     ${kib} kB`, 'VmFlags: rd wr', ''].join(
      '\n',
    );
  const smaps = area('7f0000200000-7f0000a00000', 4096) + area('7f0000a00000-7f0000c00000', 2048);

  it('is that of the very mapping', () => {
    expect(smapsFigure(smaps, 'ShmemPmdMapped', 0x7f0000200000, 8 * 2 ** 20)).toBe(4 * 2 ** 20);
    expect(smapsFigure(smaps, 'ShmemPmdMapped', 0x7f0000a00000, 2 ** 21)).toBe(2 ** 21);
  });

  it('is nothing for a part of a mapping, for two, for none, and where the kernel tells none', () => {
    expect(smapsFigure(smaps, 'ShmemPmdMapped', 0x7f0000200000, 2 ** 21)).toBe(0);
    expect(smapsFigure(smaps, 'ShmemPmdMapped', 0x7f0000200000, 10 * 2 ** 20)).toBe(0);
    expect(smapsFigure(smaps, 'ShmemPmdMapped', 0x7f0000400000, 2 ** 21)).toBe(0);
    const silent = area('7f0000200000-7f0000a00000', 0).replace(/^ShmemPmdMapped.*\n/m, '');
    expect(smapsFigure(silent + smaps, 'ShmemPmdMapped', 0x7f0000200000, 8 * 2 ** 20)).toBe(0);
  });
});

/** What smaps says about each mapping of this process's segments: where it begins, and how much of it large pages map, B. */
function mappings(): { address: number; largeBytes: number }[] {
  const smaps = readFileSync('/proc/self/smaps', 'utf8');
  return [...smaps.matchAll(new RegExp(`^([0-9a-f]+)-([0-9a-f]+) .*${LABEL}`, 'gm'))].map(
    ([, begin = '', end = '']) => {
      const address = Number.parseInt(begin, 16);
      return { address, largeBytes: smapsFigure(smaps, 'ShmemPmdMapped', address, Number.parseInt(end, 16) - address) };
    },
  );
}

const missing = transparentPageBytes() === undefined;

describe.skipIf(missing)('a segment of transparent pages (skipped where the kernel has none)', () => {
  const os = createLinuxSegmentOs();
  const create = () => os.create(LABEL, BYTES, 'transparent-2m');
  afterEach(() => expect(mappings()).toEqual([]));

  it('consists of them from end to end, is all zero, and takes no more than its size', async () => {
    const fd = create();
    expect(await os.collapse(fd, 0, 4 * PAGE)).toBe('collapsed');
    expect(await os.collapse(fd, 4 * PAGE, BYTES - 4 * PAGE)).toBe('collapsed');
    await os.populate(fd, 0, BYTES);
    expect(os.allocatedBytes(fd)).toBe(BYTES);
    expect(await os.isCollapsed(fd)).toBe(true);
    const range = os.map(fd, BYTES, 'read', 'transparent-2m');
    expect(range.words32(0, BYTES / 4).every((word) => word === 0)).toBe(true);
    range.release();
    fd.close();
  });

  it('is mapped by them wherever it is mapped, for reading and for writing, and at addresses used before', async () => {
    const fd = create();
    await os.collapse(fd, 0, BYTES);
    await os.populate(fd, 0, BYTES);
    os.seal(fd);
    const reader = os.openReadOnly(fd);
    // The kernel puts one mapping beside the other: beside this one, no large page can begin.
    const odd = os.create('odd', BYTES + os.basePageBytes, 'base');
    const beside = os.map(odd, BYTES + os.basePageBytes, 'read', 'base');
    for (let round = 0; round < 3; round += 1) {
      const ranges = [os.map(reader, BYTES, 'read', 'transparent-2m'), os.map(fd, BYTES, 'write', 'transparent-2m')];
      for (const range of ranges) {
        const words = range.words32(0, BYTES / 4);
        for (let page = 0; page < PAGES; page += 1) expect(words[(page * PAGE) / 4]).toBe(0);
      }
      expect(mappings().map(({ largeBytes }) => largeBytes)).toEqual([BYTES, BYTES]);
      for (const { address } of mappings()) expect(address % PAGE).toBe(0);
      for (const range of ranges) range.release();
    }
    beside.release();
    odd.close();
    reader.close();
    fd.close();
  });

  it('that was populated by small pages, or has lost a part, is not taken for one', async () => {
    const small = os.create(LABEL, BYTES, 'transparent-2m');
    await os.populate(small, 0, BYTES);
    // Only where the system gives shared memory large pages by itself.
    const enabled = readFileSync('/sys/kernel/mm/transparent_hugepage/shmem_enabled', 'utf8');
    if (/\[(never|advise)\]/.test(enabled)) expect(await os.isCollapsed(small)).toBe(false);
    small.close();

    const torn = create();
    await os.collapse(torn, 0, BYTES);
    expect(await os.isCollapsed(torn)).toBe(true);
    await os.discard(torn, 3 * PAGE, 4096);
    expect(await os.isCollapsed(torn)).toBe(false);
    torn.close();
  });

  it('that cannot be mapped is an error, and leaves nothing mapped and nothing open', async () => {
    const before = openFds();
    const fd = create();
    const reader = os.openReadOnly(fd);
    await expect(os.collapse(reader, 0, BYTES)).rejects.toMatchObject({ call: 'posix_fallocate', code: 'EBADF' });
    reader.close();
    fd.close();
    expect(openFds()).toEqual(before);
  });
});
