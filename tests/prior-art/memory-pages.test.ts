// memory_pages, row by row: typed page permissions, hints, a paged vector. None of it needs a broker.
import { f64, record, SharedVector, u32 } from '@leasehold/shm-core';
import { toExecutable } from '@leasehold/shm-core/executable-pages';
import { Pages, UsedPagesError } from '@leasehold/shm-core/pages';
import { expect, it } from 'vitest';

const MIB = 2 ** 20;

it('Pages<AllowRead, AllowWrite, DenyExec>: changing permissions consumes the old value, and wrong use does not compile', () => {
  const writable = Pages.allocate(100);
  const { bytes } = writable;
  bytes.set([1, 2, 3]);
  const readable = writable.protect('r');
  expect([bytes.length, readable.bytes[2]]).toEqual([0, 3]);
  expect(() => writable.bytes).toThrow(UsedPagesError);
  // @ts-expect-error: bytes that may only be read cannot be written.
  const write = (): void => void readable.bytes.fill(1);
  expect(typeof write).toBe('function');
  const closed = readable.protect('none');
  // @ts-expect-error: pages without access have no bytes.
  expect(() => closed.bytes).not.toThrow();
  using again = closed.protect('rw');
  expect(again.bytes[2]).toBe(3);
});

it.skipIf(process.arch !== 'x64' && process.arch !== 'arm64')(
  'never executable, except by an import of its own: a function assembled at run time adds two numbers',
  () => {
    const code = {
      // lea eax, [rdi + rsi]; ret
      x64: [0x8d, 0x04, 0x37, 0xc3],
      // add w0, w0, w1; ret
      arm64: [0x00, 0x00, 0x01, 0x0b, 0xc0, 0x03, 0x5f, 0xd6],
    }[process.arch as 'x64' | 'arm64'];
    const pages = Pages.allocate(code.length);
    pages.bytes.set(code);
    using executable = toExecutable(pages);
    const add = executable.functionAt(0, { takes: ['int32', 'int32'], returns: 'int32' });
    expect(add(40, 2)).toBe(42);
  },
);

it('page size is asked, sizes round up', () => {
  using pages = Pages.allocate(4097);
  expect(pages.pageBytes % 4096).toBe(0);
  expect([pages.requestedBytes, pages.mappedBytes % pages.pageBytes]).toEqual([4097, 0]);
  expect(pages.mappedBytes).toBeGreaterThanOrEqual(4097);
  expect(() => Pages.allocate(2 ** 53 - 1)).toThrow(RangeError);
});

it('hints: soon, sequential, random: applied or unsupported, never a change of data or size', () => {
  using pages = Pages.allocate(MIB);
  pages.bytes.fill(5);
  for (const hint of ['willneed', 'sequential', 'random', 'cold', 'populate'] as const) {
    expect(['applied', 'unsupported']).toContain(pages.advise(hint));
  }
  expect([pages.bytes.length, pages.bytes.every((byte) => byte === 5)]).toEqual([MIB, true]);
});

it('PagedVec: push within capacity, reserve, clear; clear_decommit keeps capacity and gives the memory back', async () => {
  using pages = Pages.allocate(16 * MIB);
  const Point = record({ x: f64, y: f64, id: u32('its number') });
  const points = SharedVector.create(pages.memory(), Point);
  const { capacity } = points;
  await points.reserve(capacity);
  let pushed = 0;
  while (points.pushWithinCapacity((point) => Object.assign(point, { id: pushed }))) pushed += 1;
  expect([pushed, points.length, points.at(capacity - 1)?.id]).toEqual([capacity, capacity, capacity - 1]);
  const full = process.memoryUsage().rss;
  points.clearDecommit();
  expect(full - process.memoryUsage().rss).toBeGreaterThan(8 * MIB);
  expect([points.length, points.capacity]).toEqual([0, capacity]);
  points.push((point) => Object.assign(point, { x: 1.5 }));
  expect([points.at(0)?.x, points.pop()]).toMatchObject([1.5, expect.anything()]);
  points.clear();
  expect(points.length).toBe(0);
});
