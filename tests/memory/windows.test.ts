// Windows: parts of a payload, of attachments and of leases, and how long they last.
import { randomUUID } from 'node:crypto';
import { connect, type Lease, type Mapping, type MappingAttachment } from '@leasehold/client';
import { describe, expect, it, onTestFinished } from 'vitest';
import { failureOf } from '../support/failure.ts';
import { fillPattern } from '../support/pattern-bytes.ts';
import { startWorker } from '../support/processes.ts';
import { sharedBroker } from '../support/shared-broker.ts';

const SIZE_BYTES = 100_001;
const PARTS = [
  { offset: 0, length: 1 },
  { offset: 0, length: SIZE_BYTES },
  { offset: 4095, length: 2 },
  { offset: 33_333, length: 50_000 },
  { offset: SIZE_BYTES - 1, length: 1 },
];
const BEYOND: readonly (readonly [offset: number, length: number])[] = [
  [0, SIZE_BYTES + 1],
  [SIZE_BYTES, 1],
  [SIZE_BYTES - 1, 2],
  [-1, 2],
  [0, 0],
  [0, -1],
  [0.5, 1],
  [0, 1.5],
  [Number.NaN, 1],
  [0, Number.NaN],
  [2 ** 53, 1],
  [0, 2 ** 53],
  [1, Number.MAX_SAFE_INTEGER],
  [Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER],
  [0, Number.POSITIVE_INFINITY],
];

const { runtimeDir } = sharedBroker();

async function mappingOf(options: { reserveBytes?: number } = {}): Promise<Mapping> {
  const broker = await connect({ runtimeDir, name: 'windows' });
  onTestFinished(() => broker.close());
  return broker.createMapping(`windows/${randomUUID()}`, { sizeBytes: SIZE_BYTES, pages: 'never', ...options });
}

type Opened = MappingAttachment<Uint8Array> | Lease<Uint8Array>;

const OPENINGS: Record<string, (mapping: Mapping) => Promise<{ opened: Opened; end: () => unknown }>> = {
  'an attachment': async (mapping) => {
    const opened = await mapping.attach('write');
    return { opened, end: () => opened.close() };
  },
  'a lease': async (mapping) => {
    const opened = await mapping.lease('exclusive');
    return { opened, end: () => opened.release() };
  },
};

describe.each(Object.entries(OPENINGS))('a window of %s', (_, open) => {
  it('shows its part exactly, at the start, in the middle and at the end', async () => {
    const { opened } = await open(await mappingOf());
    fillPattern(opened.bytes, 1);
    for (const { offset, length } of PARTS) {
      using window = opened.window(offset, length);
      expect(window.offset).toBe(offset);
      expect([window.bytes.length, window.bytes.buffer.byteLength]).toEqual([length, length]);
      expect(Buffer.compare(window.bytes, opened.bytes.subarray(offset, offset + length))).toBe(0);
      window.bytes.fill(9);
      expect(opened.bytes[offset]).toBe(9);
      expect(opened.bytes[offset + length - 1]).toBe(9);
      fillPattern(opened.bytes, 1);
    }
  });

  it('beyond the payload is INVALID_SIZE with the figures', async () => {
    const { opened } = await open(await mappingOf());
    for (const [offset, length] of BEYOND) {
      const error = await failureOf(() => opened.window(offset, length), `${length} B at ${offset}`);
      expect(error, `${length} B at ${offset}`).toMatchObject({
        code: 'INVALID_SIZE',
        metadata: { offset: `${offset}`, length: `${length}`, sizeBytes: `${SIZE_BYTES}` },
      });
    }
  });

  it('is empty when it is closed, by hand or by `using`, and others stay', async () => {
    const { opened } = await open(await mappingOf());
    const first = opened.window(0, 10);
    const second = opened.window(0, 10);
    const taken: Uint8Array[] = [first.bytes];
    first.close();
    first.close();
    {
      using third = opened.window(5, 10);
      taken.push(third.bytes);
      expect(third.bytes).toHaveLength(10);
    }
    expect(taken.map(({ length }) => length)).toEqual([0, 0]);
    expect(first.bytes).toHaveLength(0);
    expect(second.bytes).toHaveLength(10);
    second.bytes[0] = 3;
    expect(opened.bytes[0]).toBe(3);
  });

  it('is empty when what it is of has ended, and there are no new ones', async () => {
    const { opened, end } = await open(await mappingOf());
    const windows = PARTS.map(({ offset, length }) => opened.window(offset, length));
    const taken = windows.map(({ bytes }) => bytes);
    await end();
    expect(taken.map(({ length }) => length)).toEqual(PARTS.map(() => 0));
    expect(windows.map(({ bytes }) => bytes.length)).toEqual(PARTS.map(() => 0));
    for (const window of windows) window.close();
    expect(await failureOf(() => opened.window(0, 1))).toMatchObject({ code: 'CLOSED' });
  });

  it('that somebody transferred is VIEW_STOLEN when it is closed', async () => {
    const { opened } = await open(await mappingOf());
    const window = opened.window(0, 4096);
    const stolen = (window.bytes.buffer as ArrayBuffer).transfer();
    expect(await failureOf(() => window.close())).toMatchObject({ code: 'VIEW_STOLEN' });
    expect(stolen.byteLength).toBe(4096);
  });

  it('of what has grown reaches into what is new', async () => {
    const mapping = await mappingOf({ reserveBytes: 2 * SIZE_BYTES });
    const { opened } = await open(mapping);
    expect(await failureOf(() => opened.window(SIZE_BYTES, 10))).toMatchObject({ code: 'INVALID_SIZE' });
    const old = opened.window(SIZE_BYTES - 10, 10);
    old.bytes.fill(4);
    await mapping.grow(2 * SIZE_BYTES);
    using window = opened.window(SIZE_BYTES - 10, 20);
    expect([...window.bytes]).toEqual([...Array(10).fill(4), ...Array(10).fill(0)]);
    // Growing closes nothing.
    expect(old.bytes).toHaveLength(10);
  });
});

describe('windows', () => {
  it('of a lease are empty when it is taken away', async () => {
    const mapping = await mappingOf();
    const lease = await mapping.lease('exclusive');
    const window = lease.window(0, 10);
    const lost = new Promise((resolve) => lease.lost.addEventListener('abort', resolve, { once: true }));
    await mapping.delete();
    await lost;
    expect(window.bytes).toHaveLength(0);
    expect(await failureOf(() => lease.window(0, 10))).toMatchObject({ code: 'LEASE_LOST' });
  });

  it('of the lease under which the mapping is made smaller are closed where they reach beyond it, and those of attachments', async () => {
    const mapping = await mappingOf();
    const lease = await mapping.lease('exclusive');
    await using attachment = await mapping.attach('write');
    const windows = [lease, attachment].flatMap((of) => [of.window(0, 10), of.window(SIZE_BYTES - 10, 10)]);
    await mapping.resize(SIZE_BYTES / 2 - 0.5, { lease });
    expect(windows.map(({ bytes }) => bytes.length)).toEqual([10, 0, 10, 0]);
    using window = lease.window(0, 10);
    expect(window.bytes).toHaveLength(10);
    expect(await failureOf(() => lease.window(SIZE_BYTES - 10, 10))).toMatchObject({ code: 'INVALID_SIZE' });
    lease.release();
  });

  it('10,000 of them, and as many of different places, leave nothing behind', async () => {
    const { name } = await mappingOf({});
    const worker = startWorker('memory-client', [runtimeDir]);
    await worker.ask({ do: 'attach', name, access: 'read' });
    await worker.ask({ do: 'open-windows', name, count: 10_000, places: 10_000 });
    const before = await worker.ask<{ heapBytes: number; maps: number }>({ do: 'settled-memory' });
    await worker.ask({ do: 'open-windows', name, count: 10_000, places: 1 });
    await worker.ask({ do: 'open-windows', name, count: 10_000, places: 10_000 });
    const after = await worker.ask<{ heapBytes: number; maps: number }>({ do: 'settled-memory' });
    // 100 B for each would be 2 MB.
    expect(after.heapBytes - before.heapBytes).toBeLessThan(2 ** 20);
    expect(after.maps - before.maps).toBeLessThan(100);
  });
});
