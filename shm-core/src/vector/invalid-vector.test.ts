/** What a vector makes of memory that somebody else has written, by mistake or to do harm. */
import { describe, expect, it, vi } from 'vitest';
import { u32 } from '../layout/define-layout.ts';
import { InvalidVectorError } from './errors.ts';
import { VECTOR_HEADER, VECTOR_MAGIC } from './header.ts';
import { record } from './record.ts';
import { SharedVector } from './shared-vector.ts';
import { ArrayMemory } from './testing/array-memory.ts';
import { point, pointOf, vectorOf } from './testing/point.ts';
import { newSeed, randomOf } from './testing/random.ts';

const PAGE = 4096;

describe('memory that does not hold such a vector', () => {
  const at = VECTOR_HEADER.at;

  it('is refused, with what is wrong', () => {
    const open = (memory: ArrayMemory) => () => SharedVector.open(memory, point);
    expect(open(new ArrayMemory(PAGE))).toThrow('its first word is nothing yet');
    expect(open(new ArrayMemory(64))).toThrow('its header alone has 128 B');
    const poked = (offset: number, word: number) => {
      const { memory } = vectorOf(2);
      memory.poke(offset, word);
      return open(memory);
    };
    expect(poked(at.magic, 7)).toThrow('its first word is 0x7');
    expect(poked(at.version, 9)).toThrow('version 9');
    expect(poked(at.recordBytes, 16)).toThrow('other records');
    expect(poked(at.layoutHash, 1)).toThrow('other records');
    expect(poked(at.layoutHash + 4, 1)).toThrow('other records');
    expect(poked(at.capacity, 5)).toThrow('claims room for 5 records');
    expect(poked(at.length, 5)).toThrow('claims to hold 5 records; its memory has room for 4');
    expect(() => SharedVector.open(vectorOf(2).memory, record({ id: u32, x: u32 }))).toThrow(InvalidVectorError);
  });

  it('has no magic while its header is being written', () => {
    const { memory } = vectorOf(2);
    const store = vi.spyOn(Atomics, 'store');
    SharedVector.create(memory, point);
    const stored = store.mock.calls.map(([, index, value]) => [index, value]);
    store.mockRestore();
    expect(stored.length).toBeGreaterThan(5);
    expect(stored.filter(([index]) => index === 0)).toEqual([stored.at(0), stored.at(-1)]);
    expect([stored.at(0), stored.at(-1)]).toEqual([
      [0, 0],
      [0, VECTOR_MAGIC],
    ]);
  });

  it('that lies later on is found out at the next look, and read no further', () => {
    const { memory, vector } = vectorOf(2);
    const reader = SharedVector.open(memory, point);
    for (const length of [5, 0x8000_0000, 0xffff_ffff]) {
      memory.poke(at.length, length);
      expect(() => reader.at(4)).toThrow(InvalidVectorError);
      expect(() => [...reader]).toThrow(`claims to hold ${length} records`);
      expect(() => vector.push(pointOf(1))).toThrow(InvalidVectorError);
    }
    memory.poke(at.length, 2);
    memory.poke(at.capacity, 0xffff_ffff);
    expect(() => vector.push(pointOf(1))).toThrow('claims room for 4294967295 records');
  });

  it('about its capacity ends a reserve that is under way, with an error', async () => {
    const { memory, vector } = vectorOf(1, new ArrayMemory(600 * PAGE));
    vector.clearDecommit();
    const reserving = vector.reserve(vector.capacity);
    memory.poke(at.capacity, 10);
    await expect(reserving).rejects.toThrow(InvalidVectorError);
  });

  it('never makes a reader look outside, whatever its header says', () => {
    const seed = newSeed();
    const random = randomOf(seed);
    const { memory } = vectorOf(4);
    const reader = SharedVector.open(memory, point);
    for (let round = 0; round < 5000; round += 1) {
      const offset = random() < 0.5 ? at.length : at.capacity;
      memory.poke(offset, random() < 0.5 ? Math.floor(random() * 8) : Math.floor(random() * 2 ** 32));
      try {
        for (const p of reader) expect(p.id, `seed ${seed}`).toBeTypeOf('number');
        expect(reader.length, `seed ${seed}`).toBeLessThanOrEqual(4);
      } catch (error) {
        expect(error, `seed ${seed}`).toBeInstanceOf(InvalidVectorError);
      }
    }
  });
});
