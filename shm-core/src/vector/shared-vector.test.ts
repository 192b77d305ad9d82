import { describe, expect, it } from 'vitest';
import { f64, u32 } from '../layout/define-layout.ts';
import { CapacityError, InvalidVectorError } from './errors.ts';
import { record } from './record.ts';
import { SharedVector } from './shared-vector.ts';
import { ArrayMemory } from './testing/array-memory.ts';
import { bytesFor, copyOfPoint, point, pointOf, points, vectorOf } from './testing/point.ts';

const PAGE = 4096;

describe('a vector', () => {
  it('gives back what was pushed, by index and in order', () => {
    const { vector } = vectorOf(3);
    expect([vector.length, vector.capacity]).toEqual([3, 4]);
    expect(vector.push(pointOf(3))).toBe(3);
    expect(vector.toArray()).toEqual(points(4));
    expect(point.copy(vector.at(2))).toEqual(copyOfPoint(2));
  });

  it('that is full says how to get more room, and changes nothing', () => {
    const { vector } = vectorOf(4);
    expect(() => vector.push(pointOf(4))).toThrow(
      new CapacityError(5, 4, 'its memory has a fixed size; make it larger to begin with, or pop records'),
    );
    expect(vector.pushWithinCapacity(pointOf(4))).toBe(false);
    expect(vector.toArray()).toEqual(points(4));
    vector.pop();
    expect(vector.pushWithinCapacity(pointOf(9))).toBe(true);
    expect(vector.at(3).id).toBe(9);
  });

  it('refuses memory without room for one record', () => {
    expect(() => SharedVector.create(new ArrayMemory(bytesFor(1) - 4), point)).toThrow('has no room for one record');
    expect(() => SharedVector.create(new ArrayMemory(64), point)).toThrow(InvalidVectorError);
  });

  it('has no record at an index that is not below its length', () => {
    const { vector } = vectorOf(2);
    for (const index of [2, -1, 0.5, Number.NaN, Number.POSITIVE_INFINITY]) {
      expect(() => vector.at(index)).toThrow(`record ${index} of a vector that has 2`);
    }
  });

  it('gives pushed records all zero, whatever was there before', () => {
    const { vector } = vectorOf(3);
    vector.pop();
    vector.push((p) => expect(point.copy(p)).toEqual({ x: 0, y: 0, id: 0 }));
    expect(vector.length).toBe(3);
  });

  it('does not hold a record whose fill function threw', () => {
    const { vector } = vectorOf(1);
    const broken = () => {
      throw new Error('no reading');
    };
    expect(() => vector.push(broken)).toThrow('no reading');
    expect(vector.toArray()).toEqual(points(1));
  });

  it('refuses to be changed by a fill function, and leaves its record out', () => {
    const { vector } = vectorOf(2);
    const changes = [
      () => vector.push(pointOf(7)),
      () => vector.pop(),
      () => vector.clear(),
      () => vector.clearDecommit(),
    ];
    for (const change of changes) expect(() => vector.push(change)).toThrow('one writer at a time');
    // The length would be what it was.
    const thereAndBack = () => {
      vector.pop();
      vector.push(pointOf(7));
    };
    expect(() => vector.push(thereAndBack)).toThrow('one writer at a time');
    expect(vector.toArray()).toEqual(points(2));
    expect(vector.push(pointOf(2))).toBe(2);
  });

  it('refuses a fill function that would go on when the record is there already', () => {
    const { vector } = vectorOf(1);
    const later = () => Promise.resolve() as unknown as undefined;
    expect(() => vector.push(later)).toThrow(TypeError);
    expect(vector.length).toBe(1);
  });

  it('pops the last record, as a copy or through a function', () => {
    const { vector } = vectorOf(2);
    expect(vector.pop((p) => p.id)).toBe(1);
    expect(vector.pop()).toEqual(copyOfPoint(0));
    expect(vector.pop()).toBeUndefined();
    expect(vector.pop((p) => p.id)).toBeUndefined();
  });

  it('lowers its length before it lets anybody look at what was popped', () => {
    const { memory, vector } = vectorOf(2);
    const reader = SharedVector.open(memory, point);
    expect(vector.pop(() => reader.length)).toBe(1);
  });

  it('raises its length after the record was filled', () => {
    const { memory, vector } = vectorOf(1);
    const reader = SharedVector.open(memory, point);
    vector.push((p) => {
      pointOf(1)(p);
      expect(reader.length).toBe(1);
    });
    expect(reader.length).toBe(2);
  });

  it('keeps its room when it is cleared', () => {
    const { vector } = vectorOf(4);
    vector.clear();
    expect([vector.length, vector.capacity, vector.toArray()]).toEqual([0, 4, []]);
    vector.push(pointOf(0));
    expect(vector.toArray()).toEqual(points(1));
  });

  it('writes nothing outside its memory, up to the last record', () => {
    const whole = new ArrayMemory(bytesFor(4) + PAGE);
    whole.bytes(0, whole.sizeBytes).fill(0xee);
    const part = { ...partOf(whole, bytesFor(4)) };
    const vector = SharedVector.create(part, point);
    while (vector.pushWithinCapacity(pointOf(5)));
    expect(vector.length).toBe(4);
    expect(whole.bytes(bytesFor(4), PAGE).every((byte) => byte === 0xee)).toBe(true);
  });
});

/** The first bytes of a memory, as a memory without bounds of its own. */
function partOf(whole: ArrayMemory, sizeBytes: number) {
  return {
    sizeBytes,
    pageBytes: PAGE,
    bytes: (offset: number, length: number) => whole.bytes(offset, length),
    words32: (offset: number, count: number) => whole.words32(offset, count),
    discard: (offset: number, length: number) => whole.discard(offset, length),
    populate: (offset: number, length: number) => whole.populate(offset, length),
  };
}

describe('views', () => {
  it('move: one serves all of `at`, one all steps of an iteration', () => {
    const { vector } = vectorOf(3);
    const first = vector.at(0);
    expect(vector.at(2)).toBe(first);
    expect(first.id).toBe(2);
    expect(new Set(vector).size).toBe(1);
  });

  it('of their own stay where they were put', () => {
    const { vector } = vectorOf(3);
    const mine = vector.viewAt(1);
    for (const p of vector) expect(p.id + mine.id).toBe(p.id + 1);
    vector.at(0);
    expect(mine.id).toBe(1);
    expect(vector.at(2, mine)).toBe(mine);
    expect(mine.id).toBe(2);
  });

  it('of another vector’s records, or of a writer, are refused by a reader', () => {
    const { memory, vector } = vectorOf(1);
    const writable = vector.viewAt(0);
    expect(() => SharedVector.open(memory, point).at(0, writable)).toThrow(TypeError);
    const otherPoint = record({ x: f64, y: f64, id: u32 });
    const other = SharedVector.create(new ArrayMemory(PAGE), otherPoint);
    other.push(() => undefined);
    expect(() => vector.at(0, other.viewAt(0))).toThrow('not a view of a record of this vector');
  });

  it('write where they stand', () => {
    const { vector } = vectorOf(2);
    for (const p of vector) p.x *= 2;
    expect(vector.toArray().map((p) => p.x)).toEqual([0.5, 2.5]);
  });

  it('do not disturb one another in nested loops', () => {
    const { vector } = vectorOf(3);
    const pairs: string[] = [];
    for (const a of vector) for (const b of vector) pairs.push(`${a.id}${b.id}`);
    expect(pairs.join(' ')).toBe('00 01 02 10 11 12 20 21 22');
  });

  it('end an iteration early when the vector gets shorter, and leave out what is pushed meanwhile', () => {
    const { vector } = vectorOf(4);
    const seen: number[] = [];
    for (const p of vector) {
      seen.push(p.id);
      if (p.id === 1) vector.pop();
      if (p.id === 2) vector.clear();
    }
    expect(seen).toEqual([0, 1, 2]);
    vector.push(pointOf(0));
    for (const _ of vector) vector.pushWithinCapacity(pointOf(1));
    expect(vector.length).toBe(2);
  });
});
