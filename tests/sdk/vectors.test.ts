// `SharedVector` on a mapping: it grows by the broker, is read through a read-only map, and never reaches beyond what is there.
import { connect, f64, type Mapping, record, SharedVector, u32 } from '@leasehold/client';
import { describe, expect, it, onTestFinished } from 'vitest';
import { sharedBroker } from '../support/shared-broker.ts';

const broker = sharedBroker();
const Point = record({ x: f64, y: f64, id: u32('from 0') });
const POINT_BYTES = 24;
const MIB = 2 ** 20;
let names = 0;

async function vectorMapping(options: { locked?: boolean; reserveBytes?: number } = {}): Promise<Mapping> {
  const client = await connect({ runtimeDir: broker.runtimeDir });
  onTestFinished(() => client.close());
  names += 1;
  const { locked = false, reserveBytes = 64 * MIB } = options;
  return client.createMapping(`vector-${names}`, { sizeBytes: 4096, reserveBytes, locked, pages: 'never' });
}

describe('a vector on a mapping', () => {
  it('grows as far as the reservation, and readers see every record without mapping anything anew', async () => {
    const mapping = await vectorMapping({ reserveBytes: MIB });
    await using writer = await mapping.attach('write');
    await using reader = await mapping.attach('read');
    const points = SharedVector.create(writer.memory, Point);
    const seen = SharedVector.open(reader.memory, Point);
    let pushed = 0;
    const fill = async (): Promise<never> => {
      for (;;) {
        await points.pushGrowing((point) => Object.assign(point, { x: pushed, y: -pushed, id: pushed }));
        pushed += 1;
      }
    };
    await expect(fill()).rejects.toMatchObject({ code: 'INVALID_SIZE' });
    expect(pushed).toBeGreaterThan((MIB * 0.9) / POINT_BYTES);
    expect(seen.length).toBe(pushed);
    let sum = 0;
    for (const point of seen) sum += point.id;
    expect(sum).toBe((pushed * (pushed - 1)) / 2);
  });

  it('gives memory back and is filled again; locked memory keeps what it has', async () => {
    for (const locked of [false, true]) {
      const mapping = await vectorMapping({ locked });
      await mapping.grow(4 * MIB);
      await using writer = await mapping.attach('write');
      const points = SharedVector.create(writer.memory, Point);
      const all = points.capacity;
      for (let round = 0; round < 2; round += 1) {
        while (points.pushWithinCapacity((point) => Object.assign(point, { id: round + 1 })));
        expect([points.length, points.at(all - 1)?.id]).toEqual([all, round + 1]);
        if (locked) expect(() => points.clearDecommit()).toThrow(expect.objectContaining({ code: 'INVALID_STATE' }));
        if (locked) break;
        points.clearDecommit();
        expect([points.length, points.capacity]).toEqual([0, all]);
      }
    }
  });

  it('is closed with its attachment: then every use is an error', async () => {
    const mapping = await vectorMapping();
    const writer = await mapping.attach('write');
    const { memory } = writer;
    const points = SharedVector.create(memory, Point);
    points.push((point) => Object.assign(point, { id: 1 }));
    await writer.close();
    expect(() => memory.bytes(0, 1)).toThrow(expect.objectContaining({ code: 'CLOSED' }));
    expect(() => memory.populate(0, 4096)).toThrow(expect.objectContaining({ code: 'CLOSED' }));
    expect(() => points.push(() => undefined)).toThrow();
  });

  it('has no view beyond the payload', async () => {
    const mapping = await vectorMapping();
    await using writer = await mapping.attach('write');
    for (const [offset, length] of [
      [0, 4097],
      [4096, 1],
      [-1, 2],
      [Number.NaN, 1],
    ] as const) {
      expect(() => writer.memory.bytes(offset, length)).toThrow(expect.objectContaining({ code: 'INVALID_SIZE' }));
    }
    expect(writer.memory.bytes(0, 4096)).toHaveLength(4096);
  });
});
