import { existsSync, readFileSync } from 'node:fs';
import koffi from 'koffi';
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { PrivateMemory, PrivateRange } from '../private-memory.ts';
import { libc } from './libc.ts';
import { createPrivateMemory, privateMemory } from './private-pages.ts';

const PAGE = libc().getpagesize();
const MIB = 2 ** 20;
const ENOMEM = 12;

type PageCall = 'mmap' | 'mprotect' | 'madvise' | 'mlock' | 'munmap';

/** Makes the next of these system calls fail, and no other. */
function failing(call: PageCall, errno = ENOMEM): void {
  vi.spyOn(libc(), call).mockImplementationOnce(() => {
    koffi.errno(errno);
    return -1;
  });
}

/** Whether every page of a range is mapped, as the kernel lists them. */
function isMapped(address: number, bytes: number): boolean {
  const areas = [...readFileSync('/proc/self/maps', 'utf8').matchAll(/^([0-9a-f]+)-([0-9a-f]+) /gm)];
  let reached = address;
  for (const [, start = '', end = ''] of areas) {
    if (Number.parseInt(start, 16) <= reached && reached < Number.parseInt(end, 16)) reached = Number.parseInt(end, 16);
  }
  return reached >= address + bytes;
}

const opened: PrivateRange[] = [];

function mapped(memory: PrivateMemory, bytes: number): PrivateRange {
  const range = memory.map(bytes, 'base');
  opened.push(range);
  return range;
}

/** A range whose addresses are kept, because it was viewed. */
function usedAndReleased(memory: PrivateMemory, bytes: number): number {
  const range = memory.map(bytes, 'base');
  new Uint8Array(range.view(0, bytes)).fill(1);
  range.release();
  return range.address;
}

afterEach(() => {
  vi.restoreAllMocks();
  for (const range of opened.splice(0)) range.release();
});

describe('private memory', () => {
  it('has pages of the size that the kernel says', () => {
    expect(createPrivateMemory().pageBytes('base')).toBe(PAGE);
    expect(PAGE).toBeGreaterThanOrEqual(4096);
    expect(privateMemory()).toBe(privateMemory());
  });

  it('is never mapped for anything but whole pages of a kind that exists', () => {
    const memory = createPrivateMemory();
    const mmap = vi.spyOn(libc(), 'mmap');
    for (const bytes of [0, -PAGE, PAGE + 1, Number.NaN]) expect(() => memory.map(bytes, 'base')).toThrow(RangeError);
    expect(() => memory.map(PAGE, 'windows-large')).toThrow(expect.objectContaining({ call: 'mmap', code: 'ENODEV' }));
    expect(mmap).not.toHaveBeenCalled();
  });

  it('is not inherited by forked children', () => {
    const range = mapped(createPrivateMemory(), 37 * PAGE);
    const area = `${range.address.toString(16)}-${(range.address + range.mappedBytes).toString(16)} `;
    const smaps = readFileSync('/proc/self/smaps', 'utf8');
    expect(smaps).toContain(area);
    expect(/^VmFlags:.*$/m.exec(smaps.slice(smaps.indexOf(area)))?.[0]).toMatch(/\bdc\b/);
  });

  it('is unmapped when nobody has seen it, replaced by zeroed memory when somebody has', () => {
    const memory = createPrivateMemory();
    const unseen = memory.map(64 * PAGE, 'base');
    const munmap = vi.spyOn(libc(), 'munmap');
    unseen.release();
    unseen.release();
    expect(munmap).toHaveBeenCalledExactlyOnceWith(unseen.address, 64 * PAGE);
    const seen = memory.map(PAGE, 'base');
    const stolen = new Uint8Array(seen.view(0, PAGE).transfer()).fill(1);
    seen.release();
    expect(isMapped(seen.address, PAGE)).toBe(true);
    expect(stolen.every((byte) => byte === 0)).toBe(true);
    expect(munmap).toHaveBeenCalledOnce();
  });

  it('stays mapped where somebody has seen what was there before, whoever sees it now', () => {
    const memory = createPrivateMemory();
    const address = usedAndReleased(memory, 43 * PAGE);
    const unseen = mapped(memory, 43 * PAGE);
    expect(unseen.address).toBe(address);
    unseen.release();
    expect(isMapped(address, 43 * PAGE)).toBe(true);
    failing('madvise');
    expect(() => memory.map(43 * PAGE, 'base')).toThrow('madvise failed: ENOMEM');
    expect(isMapped(address, 43 * PAGE)).toBe(true);
  });

  it('is at addresses that were used before, except when a view of them was stolen', () => {
    const memory = createPrivateMemory();
    const address = usedAndReleased(memory, 3 * PAGE);
    const again = mapped(memory, 3 * PAGE);
    expect(again.address).toBe(address);
    expect(new Uint8Array(again.view(0, 3 * PAGE)).every((byte) => byte === 0)).toBe(true);
    again.view(0, PAGE).transfer();
    again.release();
    expect(mapped(memory, 3 * PAGE).address).not.toBe(address);
  });

  it('cannot be used once it is released', () => {
    const range = createPrivateMemory().map(PAGE, 'base');
    range.release();
    for (const use of [
      () => range.view(0, 1),
      () => range.protect('r'),
      () => range.advise('random'),
      () => range.populate(0, 1),
      () => range.discard(0, PAGE),
      () => range.lock(),
    ]) {
      expect(use).toThrow('the range is released');
    }
  });
});

describe('a system call that fails', () => {
  it('while memory is mapped leaves nothing mapped', () => {
    const memory = createPrivateMemory();
    failing('mmap');
    expect(() => memory.map(PAGE, 'base')).toThrow(
      expect.objectContaining({
        call: 'mmap',
        errno: ENOMEM,
        message: `mmap failed: ENOMEM (${PAGE} B of base pages)`,
      }),
    );
    const mmap = vi.spyOn(libc(), 'mmap');
    const munmap = vi.spyOn(libc(), 'munmap');
    failing('madvise');
    expect(() => memory.map(PAGE, 'base')).toThrow(expect.objectContaining({ call: 'madvise', code: 'ENOMEM' }));
    expect(munmap).toHaveBeenCalledExactlyOnceWith(mmap.mock.results.at(-1)?.value, PAGE);
  });

  it('while old addresses are mapped again keeps them for the next one', () => {
    const memory = createPrivateMemory();
    const address = usedAndReleased(memory, 5 * PAGE);
    failing('mmap');
    expect(() => memory.map(5 * PAGE, 'base')).toThrow(expect.objectContaining({ call: 'mmap', code: 'ENOMEM' }));
    expect(isMapped(address, 5 * PAGE)).toBe(true);
    const other = usedAndReleased(memory, 6 * PAGE);
    failing('madvise');
    expect(() => memory.map(6 * PAGE, 'base')).toThrow(expect.objectContaining({ call: 'madvise' }));
    expect(isMapped(other, 6 * PAGE)).toBe(true);
    expect(mapped(memory, 6 * PAGE).address).toBe(other);
  });

  it('while protection changes leaves protection and views as they were', () => {
    const range = mapped(createPrivateMemory(), 2 * PAGE);
    const bytes = new Uint8Array(range.view(0, 2 * PAGE));
    failing('mprotect');
    const READ_WRITE = 3;
    expect(() => range.protect('r')).toThrow(
      expect.objectContaining({
        call: 'mprotect',
        code: 'ENOMEM',
        message: expect.stringContaining(`r, ${2 * PAGE} B`),
      }),
    );
    expect(libc().mprotect).toHaveBeenLastCalledWith(range.address, 2 * PAGE, READ_WRITE);
    bytes[0] = 1;
    expect(bytes).toHaveLength(2 * PAGE);
  });

  it('while memory is released gives the memory back all the same', () => {
    const range = createPrivateMemory().map(PAGE, 'base');
    const bytes = new Uint8Array(range.view(0, PAGE)).fill(1);
    failing('mmap');
    const madvise = vi.spyOn(libc(), 'madvise');
    expect(() => range.release()).toThrow(expect.objectContaining({ call: 'mmap', code: 'ENOMEM' }));
    expect(bytes).toHaveLength(0);
    const MADV_DONTNEED = 4;
    expect(madvise).toHaveBeenCalledExactlyOnceWith(range.address, PAGE, MADV_DONTNEED);
    range.release();
  });

  it('is named by every other operation', () => {
    const range = mapped(createPrivateMemory(), PAGE);
    const madvise = expect.objectContaining({ name: 'OsError', call: 'madvise', code: 'ENOMEM' });
    for (const use of [
      () => range.advise('populate'),
      () => range.advise('random'),
      () => range.populate(0, 1),
      () => range.discard(0, PAGE),
    ]) {
      failing('madvise');
      expect(use).toThrow(madvise);
    }
    failing('mlock');
    expect(() => range.lock()).toThrow(expect.objectContaining({ call: 'mlock', code: 'ENOMEM' }));
  });

  it('because advice is not known is no error', () => {
    const range = mapped(createPrivateMemory(), PAGE);
    for (const errno of [22 /* EINVAL */, 9 /* EBADF */]) {
      failing('madvise', errno);
      expect(range.advise('cold')).toBe('unsupported');
    }
  });
});

/** Under `always` other memory of this process has such pages too; under `never` nothing has. */
const onlyOnAdvice = (() => {
  const path = '/sys/kernel/mm/transparent_hugepage/enabled';
  return existsSync(path) && readFileSync(path, 'utf8').includes('[madvise]');
})();

/** Transparent pages of this process, B. */
function transparentBytesInAll(): number {
  const rollup = readFileSync('/proc/self/smaps_rollup', 'utf8');
  return Number(/^AnonHugePages:\s+(\d+) kB$/m.exec(rollup)?.[1]) * 1024;
}

describe('transparent pages', () => {
  it.skipIf(!onlyOnAdvice)('are counted for the range alone, whatever lies beside it', () => {
    const memory = createPrivateMemory();
    const ranges = [mapped(memory, 8 * MIB), mapped(memory, 8 * MIB), mapped(memory, 8 * MIB)];
    const before = transparentBytesInAll();
    let countedBytes = 0;
    for (const range of ranges) {
      expect(range.preferTransparent()).toBe('applied');
      expect(range.transparentBytes()).toBe(0);
      range.populate(0, 8 * MIB);
      countedBytes += range.transparentBytes();
      expect(countedBytes).toBe(transparentBytesInAll() - before);
    }
  });
});
