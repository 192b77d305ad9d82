/** What every SegmentOs must do, whichever platform it is for: `describeSegmentOs` registers the claims for one backend. */
// biome-ignore-all lint/correctness/noUndeclaredDependencies: tests only; not part of the package.
// biome-ignore-all lint/complexity/noExcessiveLinesPerFunction: the body of a test suite.
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Advices, type MappedRange, OsError, type OwnedFd, type SegmentOs } from '../os.ts';

const PAGES = 4;

export function describeSegmentOs(create: () => SegmentOs): void {
  describe('a segment backend', () => {
    let os: SegmentOs;
    let bytes: number;
    let open: OwnedFd[];
    let mapped: MappedRange[];

    beforeEach(() => {
      os = create();
      bytes = os.basePageBytes * PAGES;
      open = [];
      mapped = [];
    });
    afterEach(() => {
      for (const range of mapped) range.release();
      for (const fd of open) fd.close();
    });

    function newSegment(): OwnedFd {
      const fd = os.create('conformance', bytes, 'base');
      open.push(fd);
      return fd;
    }
    function map(fd: OwnedFd, access: 'read' | 'write'): MappedRange {
      const range = os.map(fd, bytes, access, 'base');
      mapped.push(range);
      return range;
    }

    it('creates segments of exactly the size asked for, all zero', () => {
      const fd = newSegment();
      expect(os.sizeOf(fd)).toBe(bytes);
      expect(
        map(fd, 'write')
          .bytes(0, bytes)
          .every((byte) => byte === 0),
      ).toBe(true);
    });

    it.each([0, -4096, 1, 4097, Number.NaN, 2 ** 53])('refuses a segment of %d B', (wrong) => {
      expect(() => os.create('conformance', wrong, 'base')).toThrow(RangeError);
    });

    it('refuses page kinds that the platform does not have', () => {
      expect(os.pageBytes('windows-large')).toBeUndefined();
      expect(() => os.create('conformance', 2 ** 21, 'windows-large')).toThrow(OsError);
    });

    it('shows a write through one mapping in every other, after population and sealing too', async () => {
      const fd = newSegment();
      map(fd, 'write').words32(64, 1)[0] = 7;
      await os.populate(fd, 0, bytes);
      os.seal(fd);
      expect(map(fd, 'write').words32(64, 1)[0]).toBe(7);
      expect(map(os.openReadOnly(fd), 'read').words32(64, 1)[0]).toBe(7);
    });

    it('views the same bytes as words of every width', () => {
      const range = map(newSegment(), 'write');
      range.floats64(128, 1)[0] = 1.5;
      expect(range.words64(128, 1)[0]).toBe(0x3ff8000000000000n);
      expect(range.words32(128, 2)[1]).toBe(0x3ff80000);
      expect(range.bytes(128, 8)[7]).toBe(0x3f);
    });

    it('makes atomic words', () => {
      const fd = newSegment();
      const words = map(fd, 'write').words32(0, 2);
      expect(Atomics.compareExchange(words, 1, 0, 5)).toBe(0);
      expect(Atomics.load(map(fd, 'write').words32(0, 2), 1)).toBe(5);
      expect(Atomics.add(map(fd, 'write').words64(8, 1), 0, 3n)).toBe(0n);
    });

    it('refuses views outside the range, empty ones and unaligned ones', () => {
      const range = map(newSegment(), 'write');
      expect(range.bytes(bytes - 8, 8)).toHaveLength(8);
      for (const [offset, length] of [
        [bytes - 8, 9],
        [-1, 4],
        [0, 0],
        [0.5, 4],
        [bytes, 1],
      ] as const) {
        expect(() => range.bytes(offset, length), `${offset}, ${length}`).toThrow(RangeError);
      }
      expect(() => range.words32(2, 1)).toThrow(RangeError);
      expect(() => range.words64(4, 1)).toThrow(RangeError);
      expect(() => range.floats64(4, 1)).toThrow(RangeError);
      expect(() => range.words64(0, bytes / 8 + 1)).toThrow(RangeError);
    });

    it('maps only the whole segment', () => {
      const fd = newSegment();
      expect(() => os.map(fd, bytes + os.basePageBytes, 'write', 'base')).toThrow(RangeError);
      expect(() => os.map(fd, bytes - os.basePageBytes, 'write', 'base')).toThrow(RangeError);
    });

    it('does not map a read-only opening for writing', () => {
      const reader = os.openReadOnly(newSegment());
      open.push(reader);
      expect(() => os.map(reader, bytes, 'write', 'base')).toThrow(expect.objectContaining({ code: 'EACCES' }));
      expect(map(reader, 'read').access).toBe('read');
    });

    it('is sealed once and for ever', () => {
      const fd = newSegment();
      os.seal(fd);
      expect(() => os.seal(fd)).toThrow(OsError);
    });

    it('keeps a mapping alive after its descriptor is closed, and uses no closed descriptor', () => {
      const fd = newSegment();
      const range = map(fd, 'write');
      fd.close();
      fd.close();
      expect(fd.closed).toBe(true);
      range.words32(0, 1)[0] = 3;
      expect(range.words32(0, 1)[0]).toBe(3);
      expect(() => fd.raw).toThrow('closed');
      expect(() => os.sizeOf(fd)).toThrow('closed');
      expect(() => os.map(fd, bytes, 'read', 'base')).toThrow('closed');
    });

    it('makes no views of a released range, and releasing twice is fine', () => {
      const range = map(newSegment(), 'write');
      range.words32(0, 1);
      range.release();
      range.release();
      expect(() => range.bytes(0, 1)).toThrow('released');
    });

    it('transfers views without copying, or says that it cannot', () => {
      const fd = newSegment();
      const range = map(fd, 'write');
      if (!range.transferable) {
        expect(() => range.view(0, 8)).toThrow('no transferable views');
        return;
      }
      const lent = range.view(0, 8);
      const stale = new Uint8Array(lent);
      const returned = lent.transfer();
      expect(stale).toHaveLength(0);
      new Uint8Array(returned)[0] = 9;
      expect(map(fd, 'read').bytes(0, 1)[0]).toBe(9);
    });

    /** Populated, and every byte of it 0xa5. */
    async function filledSegment(): Promise<{ fd: OwnedFd; range: MappedRange }> {
      const fd = newSegment();
      await os.populate(fd, 0, bytes);
      const range = map(fd, 'write');
      range.bytes(0, bytes).fill(0xa5);
      return { fd, range };
    }
    /** Where zeros begin and end in an otherwise full range; null when there are others. */
    function zeros(range: MappedRange): readonly [number, number] | null {
      const all = range.bytes(0, bytes);
      const begin = all.indexOf(0);
      const end = all.lastIndexOf(0) + 1;
      const others = all.filter((byte, at) => (byte === 0) !== (at >= begin && at < end));
      return others.length === 0 ? [begin, end] : null;
    }

    it.each([
      ['a whole page', 1, 0, 2, 0],
      ['its first page', 0, 0, 1, 0],
      ['all of it', 0, 0, PAGES, 0],
      ['a part of one page', 1, 100, 1, 200],
      ['parts of two pages', 1, 5, 2, 5],
      ['pages with ragged ends', 0, 4095, 3, 1],
    ])(
      'reads as zero where it was given back (%s), through every mapping, and as before elsewhere',
      async (...part) => {
        const [, firstPage, firstByte, lastPage, lastByte] = part;
        const { fd, range } = await filledSegment();
        const reader = map(os.openReadOnly(fd), 'read');
        const begin = firstPage * os.basePageBytes + firstByte;
        const end = lastPage * os.basePageBytes + lastByte;
        await os.discard(fd, begin, end - begin);
        expect(zeros(range)).toEqual([begin, end]);
        expect(zeros(reader)).toEqual([begin, end]);
      },
    );

    it('can be given back, populated and written any number of times', async () => {
      const { fd, range } = await filledSegment();
      for (let round = 1; round <= 3; round += 1) {
        await os.discard(fd, 0, bytes);
        await os.populate(fd, 0, bytes);
        expect(zeros(range)).toEqual([0, bytes]);
        range.bytes(0, bytes).fill(round);
      }
    });

    it('takes no less memory than was populated', async () => {
      const { fd } = await filledSegment();
      expect(os.allocatedBytes(fd)).toBe(bytes);
    });

    it('holds what it held whatever was advised', async () => {
      const { range, fd } = await filledSegment();
      const reader = map(os.openReadOnly(fd), 'read');
      for (const each of [range, reader]) {
        for (const advice of Advices) {
          expect(['applied', 'unsupported']).toContain(each.advise(advice, 0, bytes));
          expect(zeros(range), `${each.access} ${advice}`).toEqual([-1, 0]);
        }
      }
    });

    it('is populated and given back by a range that may write, and by no other', async () => {
      const { fd, range } = await filledSegment();
      range.discard(os.basePageBytes, os.basePageBytes);
      expect(zeros(range)).toEqual([os.basePageBytes, 2 * os.basePageBytes]);
      range.populate(0, bytes);
      expect(os.allocatedBytes(fd)).toBe(bytes);
      expect(zeros(range)).toEqual([os.basePageBytes, 2 * os.basePageBytes]);
      // Mapped for reading only, by whatever descriptor.
      for (const reader of [map(fd, 'read'), map(os.openReadOnly(fd), 'read')]) {
        expect(() => reader.discard(0, os.basePageBytes)).toThrow(expect.objectContaining({ code: 'EACCES' }));
        expect(() => reader.populate(0, os.basePageBytes)).toThrow(expect.objectContaining({ code: 'EACCES' }));
      }
      expect(zeros(range)).toEqual([os.basePageBytes, 2 * os.basePageBytes]);
    });

    it('is given back by whole pages, and not one byte beyond them', async () => {
      const { range } = await filledSegment();
      for (const [offset, length] of [
        [0, 100],
        [0, os.basePageBytes + 1],
        [100, os.basePageBytes],
        [os.basePageBytes / 2, os.basePageBytes / 2],
      ] as const) {
        expect(() => range.discard(offset, length), `${offset}, ${length}`).toThrow(RangeError);
      }
      expect(zeros(range)).toEqual([-1, 0]);
    });

    it('is advised, populated and given back within the bounds of a range, and not after its release', async () => {
      const { range } = await filledSegment();
      const uses = [
        (offset: number, length: number) => range.advise('willneed', offset, length),
        (offset: number, length: number) => range.populate(offset, length),
        (offset: number, length: number) => range.discard(offset, length),
      ];
      for (const use of uses) {
        for (const [offset, length] of [
          [0, bytes + os.basePageBytes],
          [bytes, os.basePageBytes],
          [0, 0],
        ] as const) {
          expect(() => use(offset, length), `${offset}, ${length}`).toThrow(RangeError);
        }
      }
      range.release();
      for (const use of uses) expect(() => use(0, bytes)).toThrow('released');
    });

    it('is kept in memory as far as asked, and holds what it held', async () => {
      const { fd, range } = await filledSegment();
      const part = os.keepResident(fd);
      await part.extendTo(2 * os.basePageBytes);
      await part.extendTo(bytes);
      await part.reduceTo(os.basePageBytes);
      await part.reduceTo(bytes);
      await part.extendTo(bytes);
      await part.release();
      await part.release();
      expect(zeros(range)).toEqual([-1, 0]);
    });
  });
}
