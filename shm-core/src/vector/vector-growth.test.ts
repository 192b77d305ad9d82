/** What a vector does with its memory: asks for more, gives it back, and gets it again. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, it, vi } from 'vitest';
import { u8 } from '../layout/define-layout.ts';
import { CapacityError, InvalidVectorError } from './errors.ts';
import { MAX_RECORDS, VECTOR_HEADER } from './header.ts';
import { record } from './record.ts';
import { recordsIn } from './record-store.ts';
import { SharedVector } from './shared-vector.ts';
import { ArrayMemory } from './testing/array-memory.ts';
import { bytesFor, point, pointOf, points, vectorOf } from './testing/point.ts';

const PAGE = 4096;

describe('growing', () => {
  const growing = () => vectorOf(4, new ArrayMemory(bytesFor(4), { reserveBytes: 7 * PAGE })).vector;
  const most = recordsIn(7 * PAGE, point.recordBytes);

  it('reserve makes room for so many more, and keeps what is there', async () => {
    const vector = growing();
    await vector.reserve(100);
    expect(vector.capacity).toBeGreaterThanOrEqual(104);
    for (let id = 4; id < 104; id += 1) vector.push(pointOf(id));
    expect(vector.toArray()).toEqual(points(104));
  });

  it('says to reserve when a push finds no room', () => {
    expect(() => growing().push(pointOf(4))).toThrow('room for 4 records, not for 5: await reserve(n) before');
  });

  it('pushGrowing goes on where twice the size is not to be had, to the last record that is', async () => {
    const vector = growing();
    while (vector.length < most) expect(await vector.pushGrowing(pointOf(vector.length))).toBe(vector.length - 1);
    await expect(vector.pushGrowing(pointOf(0))).rejects.toThrow('INVALID_SIZE');
    expect(vector.toArray()).toEqual(points(most));
  });

  it('by many calls at once makes room for all of them', async () => {
    const memory = new ArrayMemory(bytesFor(4), { reserveBytes: 7 * PAGE, pageBytes: 8 });
    const { grow } = memory;
    // As a broker's: not at once. In steps of 8 B, so that nobody gets more room than was asked for.
    const slow = (atLeastBytes: number) => nextTurn().then(() => grow?.(atLeastBytes));
    Object.defineProperty(memory, 'grow', { value: slow });
    const { vector } = vectorOf(4, memory);
    const all = Array.from({ length: 100 }, (_, id) => vector.pushGrowing(pointOf(id)));
    expect((await Promise.all(all)).sort((a, b) => a - b)).toEqual(Array.from({ length: 100 }, (_, i) => i + 4));
  });

  it('pushGrowing asks twice, not again and again, where nothing is to be had', async () => {
    const memory = new ArrayMemory(bytesFor(1000), { reserveBytes: bytesFor(1000) });
    const grow = vi.spyOn(memory as Required<ArrayMemory>, 'grow');
    const { vector } = vectorOf(1000, memory);
    await expect(vector.pushGrowing(pointOf(0))).rejects.toThrow('INVALID_SIZE');
    expect(grow).toHaveBeenCalledTimes(2);
  });

  it('ends where the length is as great as a word can say', async () => {
    const header = new ArrayBuffer(4096);
    const endless = {
      sizeBytes: 2 ** 33,
      pageBytes: PAGE,
      bytes: () => new Uint8Array(header, 128),
      words32: (offset: number, count: number) => new Uint32Array(header, offset, count),
      discard: () => undefined,
      populate: () => undefined,
      grow: async () => undefined,
    };
    const vector = SharedVector.create(endless, record({ byte: u8 }));
    expect(vector.capacity).toBe(MAX_RECORDS);
    new Uint32Array(header)[VECTOR_HEADER.word.length] = MAX_RECORDS;
    await expect(vector.pushGrowing(() => undefined)).rejects.toThrow(`at most ${MAX_RECORDS}`);
  });

  it('leaves the size when there is no more to be had', async () => {
    const vector = growing();
    await expect(vector.reserve(most)).rejects.toThrow('INVALID_SIZE');
    await expect(vectorOf(4).vector.reserve(1)).rejects.toThrow(CapacityError);
    await expect(vector.reserve(MAX_RECORDS)).rejects.toThrow(`at most ${MAX_RECORDS}`);
    await expect(vector.reserve(-1)).rejects.toThrow(RangeError);
    expect([vector.length, vector.capacity]).toEqual([4, 4]);
  });

  it('is seen by readers and by views that were taken before', async () => {
    const memory = new ArrayMemory(bytesFor(4), { reserveBytes: 8 * PAGE });
    const { vector } = vectorOf(4, memory);
    const reader = SharedVector.open(memory, point);
    const kept = reader.viewAt(0);
    await vector.reserve(100);
    for (let id = 4; id < 104; id += 1) vector.push(pointOf(id));
    expect(reader.length).toBe(104);
    expect(reader.capacity).toBe(vector.capacity);
    expect(kept.id).toBe(0);
    expect(reader.at(103, kept).id).toBe(103);
  });
});

describe('memory that was made smaller under a vector', () => {
  it('takes no more records, of writers who had it before', async () => {
    const memory = new ArrayMemory(4 * PAGE);
    const { vector } = vectorOf(10, memory);
    memory.sizeBytes = PAGE;
    const smaller = 'made smaller under the vector';
    expect(() => vector.push(pointOf(10))).toThrow(smaller);
    expect(() => vector.pushWithinCapacity(pointOf(10))).toThrow(InvalidVectorError);
    await expect(vector.pushGrowing(pointOf(10))).rejects.toThrow(smaller);
    await expect(vector.reserve(1)).rejects.toThrow(smaller);
    expect(SharedVector.create(memory, point).capacity).toBe(recordsIn(PAGE, point.recordBytes));
    expect(vector.push(pointOf(0))).toBe(0);
  });
});

describe('clearDecommit', () => {
  const PAGES = 600;
  const big = () => vectorOf(2000, new ArrayMemory(PAGES * PAGE));

  it('keeps the capacity, gives back all pages but the first, and can be filled again', () => {
    const { memory, vector } = big();
    const { capacity } = vector;
    vector.clearDecommit();
    expect([vector.length, vector.capacity]).toEqual([0, capacity]);
    expect(memory.discarded.size).toBe(PAGES - 1);
    for (let id = 0; id < capacity; id += 1) vector.push(pointOf(id));
    memory.assertNoBlindWrites();
    expect(memory.discarded.size).toBe(0);
    expect(vector.toArray()).toEqual(points(capacity));
  });

  it('gets pages again step by step, not all at once', () => {
    const { memory, vector } = big();
    vector.clearDecommit();
    for (let id = 0; id < 2000; id += 1) vector.push(pointOf(id));
    expect(memory.populations).toEqual([{ offset: 0, length: 256 * PAGE }]);
  });

  it('on a machine without memory makes a push fail, and the vector goes on when there is some', () => {
    const { memory, vector } = big();
    vector.clearDecommit();
    memory.freePages = 0;
    const fits = recordsIn(PAGE, point.recordBytes);
    for (let id = 0; id < fits; id += 1) vector.push(pointOf(id));
    expect(() => vector.push(pointOf(fits))).toThrow('ENOMEM');
    expect(() => vector.pushWithinCapacity(pointOf(fits))).toThrow('ENOMEM');
    expect(vector.toArray()).toEqual(points(fits));
    memory.freePages = PAGES;
    vector.push(pointOf(fits));
    memory.assertNoBlindWrites();
    expect(vector.toArray()).toEqual(points(fits + 1));
  });

  it('populates the page behind as well before a record is written across its border', () => {
    const { memory, vector } = big();
    vector.clearDecommit();
    memory.freePages = 255;
    const fits = recordsIn(256 * PAGE, point.recordBytes);
    for (let id = 0; id < fits; id += 1) vector.push(pointOf(id));
    expect(bytesFor(fits)).toBeLessThan(256 * PAGE);
    expect(() => vector.push(pointOf(fits))).toThrow('ENOMEM');
    memory.assertNoBlindWrites();
  });

  it('is known to the next writer', () => {
    const { memory, vector } = big();
    vector.clearDecommit();
    const next = SharedVector.openForWriting(memory, point);
    for (let id = 0; id < 2000; id += 1) next.push(pointOf(id));
    memory.assertNoBlindWrites();
    for (let id = 2000; id < 2010; id += 1) vector.push(pointOf(id));
    expect(next.toArray()).toEqual(points(2010));
  });

  it('is undone by reserve, so that pushes do not fail afterwards', async () => {
    const { memory, vector } = big();
    vector.clearDecommit();
    await vector.reserve(vector.capacity);
    expect(memory.discarded.size).toBe(0);
    expect(memory.populations.length).toBeGreaterThan(1);
    memory.freePages = 0;
    while (vector.pushWithinCapacity(pointOf(1)));
    expect(vector.length).toBe(vector.capacity);
  });

  it('while reserve populates is found out, and no push writes on a page that went', async () => {
    const { memory, vector } = big();
    vector.clearDecommit();
    const reserving = vector.reserve(vector.capacity);
    vector.clearDecommit();
    await expect(reserving).rejects.toThrow('pages were given back meanwhile');
    while (vector.pushWithinCapacity(pointOf(vector.length)));
    memory.assertNoBlindWrites();
  });

  it('before the memory grows leaves no page unpopulated', async () => {
    const memory = new ArrayMemory(3 * PAGE, { reserveBytes: 8 * PAGE });
    const { vector } = vectorOf(4, memory);
    vector.clearDecommit();
    await vector.reserve(recordsIn(8 * PAGE, point.recordBytes));
    while (vector.pushWithinCapacity(pointOf(vector.length)));
    memory.assertNoBlindWrites();
    expect(vector.toArray()).toEqual(points(recordsIn(8 * PAGE, point.recordBytes)));
  });

  it('of one page gives nothing back', () => {
    const { memory, vector } = vectorOf(4);
    vector.clearDecommit();
    expect(memory.discarded.size).toBe(0);
    vector.push(pointOf(0));
    expect(vector.toArray()).toEqual(points(1));
  });

  it('leaves the part of a page at the end, and never populates it', () => {
    const { memory, vector } = vectorOf(1, new ArrayMemory(3 * PAGE + 100 * 24));
    vector.clearDecommit();
    expect([...memory.discarded]).toEqual([1, 2]);
    while (vector.pushWithinCapacity(pointOf(vector.length)));
    memory.assertNoBlindWrites();
    expect(vector.toArray()).toEqual(points(vector.capacity));
  });
});
