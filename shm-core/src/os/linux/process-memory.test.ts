import { describe, expect, it } from 'vitest';
import { lockedMemoryLimit, transparentBytesAt, transparentPageBytes } from './process-memory.ts';

const MIB = 2 ** 20;

const area = (range: string, figures: string): string =>
  `${range} rw-p 00000000 00:00 0 \nSize:               4096 kB\n${figures}VmFlags: rd wr mr mw me ac hg \n`;

const SMAPS =
  area('00400000-00800000', 'AnonHugePages:      2048 kB\n') +
  area('7f0000000000-7f0000400000', 'AnonHugePages:      4096 kB\n') +
  area('7f0000400000-7f0000800000', '') +
  area('7f0000800000-7f0000c00000', 'AnonHugePages:         0 kB\n');

describe('the figure of transparent pages', () => {
  it('is that of exactly the area asked for', () => {
    expect(transparentBytesAt(0x400000, 4 * MIB, SMAPS)).toBe(2 * MIB);
    expect(transparentBytesAt(0x7f0000000000, 4 * MIB, SMAPS)).toBe(4 * MIB);
    expect(transparentBytesAt(0x7f0000800000, 4 * MIB, SMAPS)).toBe(0);
  });

  it('is 0 for part of an area, more than one, none, or one without a figure', () => {
    expect(transparentBytesAt(0x7f0000000000, 2 * MIB, SMAPS)).toBe(0);
    expect(transparentBytesAt(0x7f0000000000, 8 * MIB, SMAPS)).toBe(0);
    expect(transparentBytesAt(0x7f0000200000, 2 * MIB, SMAPS)).toBe(0);
    expect(transparentBytesAt(0x7e0000000000, 4 * MIB, SMAPS)).toBe(0);
    expect(transparentBytesAt(0x7f0000400000, 4 * MIB, SMAPS)).toBe(0);
    expect(transparentBytesAt(0x400000, 4 * MIB, '')).toBe(0);
  });
});

describe('the size of a transparent page', () => {
  it('is what the kernel says, 0 when it says nothing', () => {
    expect(transparentPageBytes('2097152\n')).toBe(2 * MIB);
    expect(transparentPageBytes('')).toBe(0);
  });
});

describe('the limit on locked memory', () => {
  it('is the soft one, in words', () => {
    const limits = (soft: string): string =>
      `Limit                     Soft Limit           Hard Limit           Units     \nMax locked memory         ${soft}              unlimited            bytes     \n`;
    expect(lockedMemoryLimit(limits('8388608'))).toBe('8388608 B');
    expect(lockedMemoryLimit(limits('unlimited'))).toBe('unlimited');
    expect(lockedMemoryLimit('')).toBe('unknown');
  });
});
