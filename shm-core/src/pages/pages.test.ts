import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { LargePagesMissingError, Pages, UsedPagesError } from '../pages.ts';
import { runScript } from './testing/run-script.ts';

const MIB = 2 ** 20;
const pageBytes = ((): number => {
  using pages = Pages.allocate(1);
  return pages.pageBytes;
})();

/** Memory of this process that is really there, B. */
function residentBytes(): number {
  return Number(readFileSync('/proc/self/statm', 'utf8').split(' ')[1]) * pageBytes;
}

describe('allocated pages', () => {
  it.each([1, 1023, 1024, 1025, 4092, 4093, 4096, 4097, 2 * MIB - 1, 2 * MIB, 2 * MIB + 1, 20 * MIB])(
    'have exactly the %d bytes asked for, zeroed, and round-trip every one of them',
    (bytes) => {
      using before = Pages.allocate(bytes);
      using pages = Pages.allocate(bytes);
      using after = Pages.allocate(bytes);
      expect(pages.bytes).toHaveLength(bytes);
      expect(pages.bytes.buffer.byteLength).toBe(bytes);
      expect(pages.bytes.every((byte) => byte === 0)).toBe(true);
      pages.bytes.fill(0xa5);
      expect(pages.bytes.every((byte) => byte === 0xa5)).toBe(true);
      for (const neighbour of [before, after]) expect(neighbour.bytes.every((byte) => byte === 0)).toBe(true);
    },
  );

  it('report what was asked for and what was mapped', () => {
    using pages = Pages.allocate(pageBytes + 1);
    expect({ ...pages.memory(), ...factsOf(pages) }).toMatchObject({
      requestedBytes: pageBytes + 1,
      mappedBytes: 2 * pageBytes,
      pageBytes,
      pageKind: 'base',
      fallbackReason: null,
      locked: false,
      sizeBytes: pageBytes + 1,
    });
    using whole = Pages.allocate(pageBytes);
    expect(whole.mappedBytes).toBe(pageBytes);
  });

  it('cost nothing before they are touched', () => {
    using pages = Pages.allocate(64 * MIB);
    const before = residentBytes();
    expect(pages.bytes[32 * MIB]).toBe(0);
    expect(residentBytes() - before).toBeLessThan(8 * MIB);
  });

  it('longer than 4 GiB round-trip at their ends and around 4 GiB', () => {
    const bytes = 2 ** 32 + 4093;
    using pages = Pages.allocate(bytes);
    for (const at of [0, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1, 2 ** 32, bytes - 1]) {
      pages.bytes[at] = 7;
      expect(pages.bytes[at]).toBe(7);
    }
    expect(pages.bytes.length).toBe(bytes);
    expect(pages.bytes[1]).toBe(0);
  });

  it('are refused for a size that is no size', () => {
    for (const bytes of [0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53]) {
      expect(() => Pages.allocate(bytes), String(bytes)).toThrow(RangeError);
    }
    expect(() => Pages.allocate(Number.MAX_SAFE_INTEGER)).toThrow(/rounded up to pages of \d+ B, is too large/);
    expect(() => Pages.allocate(2 ** 50)).toThrow(
      expect.objectContaining({ name: 'OsError', call: 'mmap', code: 'ENOMEM' }),
    );
  });

  it('are zero although others were freed before them', () => {
    for (let round = 0; round < 4; round += 1) {
      using pages = Pages.allocate(9 * pageBytes);
      expect(pages.bytes.every((byte) => byte === 0)).toBe(true);
      pages.bytes.fill(round + 1);
    }
  });

  it('never show through a view that was stolen from freed ones', () => {
    const freed = Pages.allocate(11 * pageBytes);
    const stolen = new Uint8Array(freed.bytes.buffer.transfer());
    freed.free();
    using pages = Pages.allocate(11 * pageBytes);
    pages.bytes.fill(9);
    expect(stolen.every((byte) => byte === 0)).toBe(true);
    stolen.fill(5);
    expect(pages.bytes.every((byte) => byte === 9)).toBe(true);
  });

  it('say why they are not large when they were asked to be', () => {
    using small = Pages.allocate(4096, { pages: 'auto' });
    expect(factsOf(small)).toMatchObject({ pageKind: 'base', fallbackReason: 'SMALLER_THAN_PAGE' });
    const absurd = 2 ** 45;
    expect(() => Pages.allocate(absurd, { pages: 'require' })).toThrow(LargePagesMissingError);
  });
});

function factsOf(pages: Pages<'rw'>): object {
  const { requestedBytes, mappedBytes, pageBytes: unit, pageKind, fallbackReason, locked } = pages;
  return { requestedBytes, mappedBytes, pageBytes: unit, pageKind, fallbackReason, locked };
}

describe('pages that were used up', () => {
  it('have views of length 0, and say what became of them', () => {
    const pages = Pages.allocate(100);
    const { bytes } = pages;
    const memory = pages.memory();
    const words = memory.words32(4, 2);
    const part = memory.bytes(8, 8);
    using readable = pages.protect('r');
    expect([bytes.length, words.length, part.length]).toEqual([0, 0, 0]);
    const message = "these Pages<'rw'> were protected as 'r': use what protect returned";
    for (const use of [
      () => pages.bytes,
      () => pages.mappedBytes,
      () => pages.advise('random'),
      () => pages.decommit(0, 1),
      () => pages.protect('rw'),
      () => pages.memory(),
      () => memory.bytes(0, 1),
      () => memory.words32(0, 1),
      () => memory.discard(0, 1),
      () => memory.populate(0, 1),
    ]) {
      expect(use).toThrow(new UsedPagesError('rw', message.slice(message.indexOf('protected'))));
    }
    expect(readable.bytes).toHaveLength(100);
  });

  it('can be freed without harm to what they became', () => {
    const pages = Pages.allocate(100);
    pages.bytes[3] = 3;
    using readable = pages.protect('r');
    pages.free();
    pages[Symbol.dispose]();
    expect(readable.bytes[3]).toBe(3);
  });

  it('by free hold nothing, and can be freed again', () => {
    const pages = Pages.allocate(100);
    const { bytes } = pages;
    pages.free();
    pages.free();
    expect(bytes).toHaveLength(0);
    expect(() => pages.bytes).toThrow('freed');
  });

  it('at the end of their scope have given their memory back', () => {
    const before = residentBytes();
    let bytes: Uint8Array;
    {
      using pages = Pages.allocate(64 * MIB);
      bytes = pages.bytes.fill(1);
      expect(residentBytes() - before).toBeGreaterThan(60 * MIB);
    }
    expect(bytes).toHaveLength(0);
    expect(residentBytes() - before).toBeLessThan(16 * MIB);
  });

  it('were not used up by a protection that does not exist', () => {
    using pages = Pages.allocate(100);
    // @ts-expect-error: only toExecutable makes pages executable.
    expect(() => pages.protect('rx')).toThrow('protect takes rw, r or none, not rx');
    expect(pages.bytes).toHaveLength(100);
  });
});

describe('advice', () => {
  it.each(['willneed', 'sequential', 'random', 'cold', 'populate'] as const)(
    '%s changes neither data nor size',
    (advice) => {
      using pages = Pages.allocate(300_001);
      pages.bytes.fill(0x5a);
      const { bytes } = pages;
      expect(pages.advise(advice)).toBeOneOf(['applied', 'unsupported']);
      expect(pages.bytes).toBe(bytes);
      expect(bytes).toHaveLength(300_001);
      expect(bytes.every((byte) => byte === 0x5a)).toBe(true);
      using readable = pages.protect('r');
      expect(readable.advise(advice)).toBeOneOf(['applied', 'unsupported']);
      expect(readable.bytes.every((byte) => byte === 0x5a)).toBe(true);
    },
  );

  it('to populate brings all of the memory in', () => {
    using pages = Pages.allocate(64 * MIB);
    const before = residentBytes();
    expect(pages.advise('populate')).toBe('applied');
    expect(residentBytes() - before).toBeGreaterThan(60 * MIB);
  });
});

describe('decommitting', () => {
  it('gives memory back that is measurably gone, reads zero and can be filled again', () => {
    using pages = Pages.allocate(64 * MIB);
    pages.bytes.fill(7);
    const before = residentBytes();
    expect(pages.decommit(16 * MIB, 32 * MIB)).toBe(32 * MIB);
    expect(before - residentBytes()).toBeGreaterThan(30 * MIB);
    expect(pages.bytes[16 * MIB - 1]).toBe(7);
    expect(pages.bytes.subarray(16 * MIB, 48 * MIB).every((byte) => byte === 0)).toBe(true);
    expect(pages.bytes[48 * MIB]).toBe(7);
    pages.bytes.fill(8, 16 * MIB, 48 * MIB);
    expect(pages.bytes[20 * MIB]).toBe(8);
    expect(before - residentBytes()).toBeLessThan(8 * MIB);
  });

  it('zeroes exactly the bytes asked for, and gives back the whole pages among them', () => {
    const sizeBytes = 4 * pageBytes + 100;
    const cases = [
      [0, 1, 0],
      [1, pageBytes, 0],
      [0, pageBytes, pageBytes],
      [pageBytes - 1, pageBytes + 2, pageBytes],
      [10, 3 * pageBytes, 2 * pageBytes],
      [2 * pageBytes, 2 * pageBytes + 100, 3 * pageBytes],
      [sizeBytes - 1, 1, 0],
      [0, sizeBytes, 5 * pageBytes],
    ] as const;
    for (const [offset, length, returnedBytes] of cases) {
      using pages = Pages.allocate(sizeBytes);
      pages.bytes.fill(1);
      expect(pages.decommit(offset, length), `${offset} + ${length}`).toBe(returnedBytes);
      const expected = new Uint8Array(sizeBytes).fill(1).fill(0, offset, offset + length);
      expect(pages.bytes, `${offset} + ${length}`).toEqual(expected);
    }
  });

  it('is refused outside the block', () => {
    using pages = Pages.allocate(100);
    for (const [offset, length] of [
      [0, 101],
      [100, 1],
      [-1, 2],
      [0, 0],
      [0.5, 1],
    ] as const) {
      expect(() => pages.decommit(offset, length)).toThrow(RangeError);
    }
  });
});

/** Memory that is there and cannot be swapped out, page by page. */
const lockedBytes = (): number => {
  const [, kib] = /^Locked:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/smaps_rollup', 'utf8')) ?? [];
  return Number(kib) * 1024;
};

describe('locked pages', () => {
  it('are all there before they are touched, and stay when they are decommitted', () => {
    const before = lockedBytes();
    using pages = Pages.allocate(4 * MIB, { locked: true });
    expect(pages.locked).toBe(true);
    expect(lockedBytes() - before).toBe(4 * MIB);
    pages.bytes.fill(3);
    expect(pages.decommit(0, 4 * MIB)).toBe(0);
    expect(lockedBytes() - before).toBe(4 * MIB);
    expect(pages.bytes.every((byte) => byte === 0)).toBe(true);
  });

  it('beyond the limit are refused with its name and size, and nothing stays mapped', () => {
    const limit = ['prlimit', '--memlock=1048576:1048576'];
    const { stdout, stderr } = runScript('lock-too-much.ts', [String(64 * MIB)], limit);
    expect(stderr).toBe('');
    const outcome: unknown = JSON.parse(stdout);
    expect(outcome).toMatchObject({ call: 'mlock', code: 'ENOMEM' });
    expect(outcome).toHaveProperty('message', expect.stringContaining('67108864 B more'));
    expect(outcome).toHaveProperty('message', expect.stringContaining('RLIMIT_MEMLOCK is 1048576 B: raise it'));
    expect((outcome as { leftBytes: number }).leftBytes).toBeLessThan(32 * MIB);
  });
});

describe('pages as memory to build on', () => {
  it('give parts of one block', () => {
    using pages = Pages.allocate(64);
    const memory = pages.memory();
    memory.words32(8, 2)[1] = 0x04030201;
    expect([...memory.bytes(12, 4)]).toEqual([1, 2, 3, 4]);
    expect(pages.bytes[12]).toBe(1);
    memory.populate(0, 64);
    expect(pages.bytes[12]).toBe(1);
    memory.discard(12, 2);
    expect([...memory.bytes(12, 4)]).toEqual([0, 0, 3, 4]);
    expect(() => memory.bytes(60, 5)).toThrow(RangeError);
    expect(() => memory.words32(60, 2)).toThrow(RangeError);
    expect(() => memory.words32(2, 1)).toThrow('not aligned');
  });
});
