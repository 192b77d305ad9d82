import { readFileSync } from 'node:fs';
import { describe, expect, expectTypeOf, it } from 'vitest';
import { Pages, type PagesMemory, UsedPagesError } from '../pages.ts';
import { SharedVector } from '../vector/shared-vector.ts';
import { copyOfPoint, point, pointOf } from '../vector/testing/point.ts';
import type { VectorMemory } from '../vector/vector-memory.ts';

const MIB = 2 ** 20;
const SIZE = 32 * MIB + 1000;

describe('a vector on pages', () => {
  it('gets what it needs', () => {
    expectTypeOf<PagesMemory>().toExtend<VectorMemory>();
  });

  it('gives its memory back by clearDecommit, measurably, and can be filled again', () => {
    using pages = Pages.allocate(SIZE);
    const residentBytes = (): number =>
      Number(readFileSync('/proc/self/statm', 'utf8').split(' ')[1]) * pages.pageBytes;
    const vector = SharedVector.create(pages.memory(), point);
    const fill = (): number => {
      let id = 0;
      while (vector.pushWithinCapacity(pointOf(id))) id += 1;
      return id;
    };
    const room = fill();
    expect(room).toBe(vector.capacity);
    const before = residentBytes();
    vector.clearDecommit();
    expect(before - residentBytes()).toBeGreaterThan(24 * MIB);
    expect([vector.length, vector.capacity]).toEqual([0, room]);
    expect(fill()).toBe(room);
    expect(point.copy(vector.at(room - 1))).toEqual(copyOfPoint(room - 1));
  });

  it('ends with the pages that it is on', () => {
    const pages = Pages.allocate(64 * 1024);
    const vector = SharedVector.create(pages.memory(), point);
    vector.push(pointOf(1));
    using readable = pages.protect('r');
    expect(() => vector.push(pointOf(2))).toThrow(UsedPagesError);
    expect(() => vector.at(0)).toThrow(UsedPagesError);
    expect(readable.bytes.some((byte) => byte !== 0)).toBe(true);
  });
});
