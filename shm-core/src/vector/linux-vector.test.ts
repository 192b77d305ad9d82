/** Vectors on real segments: two mappings of one, two threads, and memory that is measured. */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { afterEach, describe, expect, it } from 'vitest';
import { createLinuxSegmentOs } from '../os/linux/segments.ts';
import type { MappedRange, OwnedFd } from '../os/os.ts';
import { recordsIn } from './record-store.ts';
import { SharedVector } from './shared-vector.ts';
import { copyOfPoint, point, pointOf, points } from './testing/point.ts';
import { rangeMemory } from './testing/range-memory.ts';

const MIB = 2 ** 20;
const SIZE = 16 * MIB;

const os = createLinuxSegmentOs();
const opened: (OwnedFd | { close(): void })[] = [];
afterEach(() => {
  for (const each of opened.splice(0)) each.close();
});

async function segmentOf(bytes: number): Promise<OwnedFd> {
  const fd = os.create('vector', bytes, 'base');
  opened.push(fd);
  await os.populate(fd, 0, bytes);
  return fd;
}
function map(fd: OwnedFd, access: 'read' | 'write'): MappedRange {
  const range = os.map(fd, os.sizeOf(fd), access, 'base');
  opened.push({ close: () => range.release() });
  return range;
}
const memoryOf = (range: MappedRange) => rangeMemory(range, os.basePageBytes);

describe('a vector on a mapped segment', () => {
  it('is read through another mapping, which the MMU keeps from writing', async () => {
    const fd = await segmentOf(SIZE);
    const vector = SharedVector.create(memoryOf(map(fd, 'write')), point);
    const readable = os.openReadOnly(fd);
    opened.push(readable);
    const reader = SharedVector.open(memoryOf(map(readable, 'read')), point);
    for (let id = 0; id < 1000; id += 1) vector.push(pointOf(id));
    expect(reader.toArray()).toEqual(points(1000));
    vector.at(7).x = -1;
    expect(reader.at(7).x).toBe(-1);
    vector.pop();
    expect(reader.length).toBe(999);
  });

  it('holds as many records as its memory has room for, up to the last byte', async () => {
    const vector = SharedVector.create(memoryOf(map(await segmentOf(SIZE), 'write')), point);
    const room = recordsIn(SIZE, point.recordBytes);
    let id = 0;
    while (vector.pushWithinCapacity(pointOf(id))) id += 1;
    expect([vector.length, vector.capacity]).toEqual([room, room]);
    expect(point.copy(vector.at(room - 1))).toEqual(copyOfPoint(room - 1));
  });

  it('whose memory is released says so at the next look', async () => {
    const range = map(await segmentOf(SIZE), 'write');
    const vector = SharedVector.create(memoryOf(range), point);
    vector.push(pointOf(0));
    range.release();
    expect(() => vector.length).toThrow('released');
    expect(() => vector.at(0)).toThrow('released');
    expect(() => vector.push(pointOf(1))).toThrow('released');
    expect(() => vector.pushWithinCapacity(pointOf(1))).toThrow('released');
    expect(() => vector.pop()).toThrow('released');
    expect(() => vector.clear()).toThrow('released');
    expect(() => vector.clearDecommit()).toThrow('released');
  });

  it('gives its memory back when it is decommitted, and gets it again as it is filled', async () => {
    const fd = await segmentOf(SIZE);
    const vector = SharedVector.create(memoryOf(map(fd, 'write')), point);
    const { capacity } = vector;
    while (vector.pushWithinCapacity(pointOf(vector.length)));
    expect(os.allocatedBytes(fd)).toBe(SIZE);

    vector.clear();
    expect(os.allocatedBytes(fd)).toBe(SIZE);
    vector.clearDecommit();
    expect(os.allocatedBytes(fd)).toBe(os.basePageBytes);
    expect([vector.length, vector.capacity]).toEqual([0, capacity]);

    for (let id = 0; id < 1000; id += 1) vector.push(pointOf(id));
    expect(os.allocatedBytes(fd)).toBeLessThan(2 * MIB);
    await vector.reserve(capacity - 1000);
    expect(os.allocatedBytes(fd)).toBe(SIZE);
    while (vector.pushWithinCapacity(pointOf(vector.length)));
    expect(vector.length).toBe(capacity);
    let next = 0;
    for (const p of vector) if (p.id === next && p.x === next + 0.25) next += 1;
    expect(next).toBe(capacity);
  });
});

describe('a reader beside a writer', () => {
  it('never sees a length that covers a record which is not whole', async () => {
    const fd = await segmentOf(SIZE);
    const { capacity } = SharedVector.create(memoryOf(map(fd, 'write')), point);
    const reader = SharedVector.open(memoryOf(map(fd, 'read')), point);
    const worker = new Worker(new URL('./testing/push-points.ts', import.meta.url), { workerData: { fd: fd.raw } });
    let [ended, looks, lengths, before] = [false, 0, 0, 0];
    const exited = once(worker, 'exit').finally(() => (ended = true));
    while (!ended) {
      for (let i = 0; i < 1000; i += 1) {
        const length = reader.length;
        if (length > before) lengths += 1;
        if (length < before) throw new Error(`the length went from ${before} to ${length}`);
        before = length;
        if (length === 0) continue;
        const newest = reader.at(length - 1);
        if (newest.id !== length - 1 || newest.x !== length - 0.75 || newest.y !== 1 - length) {
          throw new Error(`record ${length - 1} is ${JSON.stringify(point.copy(newest))}`);
        }
        looks += 1;
      }
      await new Promise((resume) => setImmediate(resume));
    }
    expect(await exited).toEqual([0]);
    expect(reader.length).toBe(capacity);
    expect(looks).toBeGreaterThan(0);
    expect(lengths).toBeGreaterThan(1);
  });
});
