import type { Advice, MappedRange } from '@leasehold/shm-core/internal';
import { afterEach, describe, expect, it } from 'vitest';
import { PayloadViews } from './payload-views.ts';
import { type AttachedPayload, attachedPayload, PAGE_BYTES, RESERVED_BYTES } from './testing/attached-payload.ts';

const open: { close(): void }[] = [];
afterEach(() => {
  for (const each of open.splice(0)) each.close();
});

async function views(
  payloadBytes = PAGE_BYTES,
  viewBytesMax?: number,
): Promise<AttachedPayload & { views: PayloadViews }> {
  const payload = await attachedPayload(payloadBytes);
  open.push(payload);
  return { ...payload, views: new PayloadViews('table', payload.mapping, viewBytesMax) };
}
const code = (expected: string) => expect.objectContaining({ code: expected });

describe('advice', () => {
  it('that nobody knows is refused by name, with what there is', () => {
    const views = new PayloadViews('table', { payloadBytes: 1, data: {} as MappedRange });
    expect(() => views.advise('soon' as Advice)).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT', message: expect.stringContaining('willneed, sequential') }),
    );
  });
});

describe('the view of a whole payload', () => {
  it('is exactly the payload, and empty when it is given back', async () => {
    const { views: all } = await views(5000);
    const bytes = all.open();
    expect(bytes).toHaveLength(5000);
    expect(all.close(bytes)).toBe(true);
    expect(bytes).toHaveLength(0);
  });

  it('is made once: whoever opens it next is given the same memory, without a view more', async () => {
    const { mapping, views: all } = await views();
    const made: number[] = [];
    const make = mapping.data.bytes.bind(mapping.data);
    mapping.data.bytes = (offset, length) => {
      made.push(length);
      return make(offset, length);
    };
    for (let round = 1; round < 5; round += 1) {
      const bytes = all.open();
      expect(bytes[0]).toBe(round - 1);
      bytes[0] = round;
      all.close(bytes);
    }
    expect(made).toEqual([PAGE_BYTES]);
    const both = [all.open(), all.open()];
    expect(made).toEqual([PAGE_BYTES, PAGE_BYTES]);
    expect(both.map(([first]) => first)).toEqual([4, 4]);
  });

  it('has the new size once there is one, and what was opened before is known to be old', async () => {
    const { broker, views: all } = await views(5000);
    const before = all.open();
    expect(all.isWhole(before)).toBe(true);
    await broker.grow(9000);
    expect(all.isWhole(before)).toBe(false);
    const after = all.open();
    expect([before.length, after.length, all.sizeBytes]).toEqual([5000, 9000, 9000]);
    all.close(before);
    all.close(after);
    expect(all.open()).toHaveLength(9000);
    await broker.shrink(10, () => undefined);
    expect(all.open()).toHaveLength(10);
  });

  it('is INVALID_SIZE where one view cannot have it all, and parts of it can be had', async () => {
    const { views: all } = await views(RESERVED_BYTES, PAGE_BYTES);
    expect(() => all.open()).toThrow(code('INVALID_SIZE'));
    expect(() => all.open()).toThrow(/table has 262144 B.*4096 B; use window\(offset, length\)/);
    expect(() => all.openPart(0, PAGE_BYTES + 1)).toThrow(code('INVALID_SIZE'));
    const last = all.openPart(RESERVED_BYTES - PAGE_BYTES, PAGE_BYTES);
    expect(last).toHaveLength(PAGE_BYTES);
    last[PAGE_BYTES - 1] = 9;
    expect(all.openPart(RESERVED_BYTES - 1, 1)[0]).toBe(9);
  });

  it('that somebody else transferred is said to be lost, and its addresses are not used again', async () => {
    const { mapping, views: all } = await views();
    let kept = 0;
    mapping.data.keepFromReuse = () => {
      kept += 1;
    };
    const bytes = all.open();
    const stolen = bytes.buffer.transfer();
    expect(all.close(bytes)).toBe(false);
    expect(kept).toBe(1);
    expect(all.open().buffer).not.toBe(stolen);
  });
});

describe('the view of a part', () => {
  it.each([
    [-1, 1],
    [0, 0],
    [0, -1],
    [0.5, 1],
    [0, 1.5],
    [5000, 1],
    [0, 5001],
    [4999, 2],
    [Number.NaN, 1],
    [0, Number.POSITIVE_INFINITY],
    [2 ** 53, 1],
    [1, 2 ** 53],
  ])('of %d + %d is not within 5,000 B', async (offset, length) => {
    const { views: all } = await views(5000);
    expect(() => all.openPart(offset, length)).toThrow(code('INVALID_SIZE'));
    expect(all.openPart(4999, 1)).toHaveLength(1);
  });

  it('reaches no further than what is left when the mapping was made smaller, though it was open before', async () => {
    const { broker, views: all } = await views(2 * PAGE_BYTES);
    all.closePart(PAGE_BYTES, all.openPart(PAGE_BYTES, PAGE_BYTES));
    await broker.shrink(PAGE_BYTES, () => undefined);
    expect(() => all.openPart(PAGE_BYTES, PAGE_BYTES)).toThrow(code('INVALID_SIZE'));
    await broker.grow(2 * PAGE_BYTES);
    expect(all.openPart(PAGE_BYTES, PAGE_BYTES).every((byte) => byte === 0)).toBe(true);
  });

  it('is kept for the next who asks for it, the 32 used last', async () => {
    const { mapping, views: all } = await views(RESERVED_BYTES);
    let made = 0;
    const make = mapping.data.bytes.bind(mapping.data);
    mapping.data.bytes = (offset, length) => {
      made += 1;
      return make(offset, length);
    };
    const use = (part: number): void =>
      void all.closePart(part * PAGE_BYTES, all.openPart(part * PAGE_BYTES, PAGE_BYTES));
    for (let part = 0; part < 32; part += 1) use(part);
    for (let part = 0; part < 32; part += 1) use(part);
    expect(made).toBe(32);
    use(0);
    use(32);
    // The second is gone now; the first was used again in time.
    use(0);
    expect(made).toBe(33);
    use(1);
    expect(made).toBe(34);
  });

  it('of the same place but another length is another view', async () => {
    const { views: all } = await views();
    all.closePart(0, all.openPart(0, 10));
    expect(all.openPart(0, 11)).toHaveLength(11);
    expect(all.openPart(0, 10)).toHaveLength(10);
  });

  it('that somebody else transferred is said to be lost, and not given to the next', async () => {
    const { views: all } = await views();
    const part = all.openPart(0, 10);
    const stolen = part.buffer.transfer();
    expect(all.closePart(0, part)).toBe(false);
    expect(all.openPart(0, 10).buffer).not.toBe(stolen);
  });
});

describe('a size that somebody else has written into the lock segment', () => {
  it.each([
    ['nothing', 0],
    ['a byte more than is mapped', RESERVED_BYTES + 1],
    ['2^53', 2 ** 53],
    ['2^63', 2 ** 63],
  ])('of %s is CORRUPT_MEMORY, whatever is asked for, until it is put right', async (_what, claimedBytes) => {
    const { broker, mapping, views: all } = await views();
    const before = all.open();
    const made: number[] = [];
    mapping.data.bytes = (_offset, length) => {
      made.push(length);
      throw new Error('a view was made');
    };
    broker.lock.commit(claimedBytes);
    const uses = [
      () => all.sizeBytes,
      () => all.open(),
      () => all.isWhole(before),
      () => all.openPart(0, 1),
      () => all.openPart(RESERVED_BYTES, 1),
      () => all.advise('populate'),
    ];
    for (const use of uses) expect(use).toThrow(code('CORRUPT_MEMORY'));
    expect(made).toEqual([]);
    broker.lock.commit(PAGE_BYTES);
    expect(all.isWhole(before)).toBe(true);
  });

  it('of all that is mapped is viewed to the last byte, and no further', async () => {
    const { broker, views: all } = await views();
    broker.lock.commit(RESERVED_BYTES);
    expect(all.open()).toHaveLength(RESERVED_BYTES);
    expect(() => all.openPart(RESERVED_BYTES, 1)).toThrow(code('INVALID_SIZE'));
  });
});
