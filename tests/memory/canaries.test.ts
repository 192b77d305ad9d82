// PRIOR-ART "zeroing with the wrong element type …" and "the view is whole pages …": sizes around which lengths in wrong units, rounded
// or cut to 32 bits would show. Every byte is written by one process and read by another, between neighbours that nobody may touch.
import { randomUUID } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { type Broker, connect, type Mapping, type MappingAttachment, type PagePolicy } from '@leasehold/client';
import { describe, expect, it, onTestFinished } from 'vitest';
import { failureOf } from '../support/failure.ts';
import { LARGE_PAGE_BYTES, needLargePages, whyNoLargePages } from '../support/large-pages.ts';
import { availableBytes } from '../support/mapping-memory.ts';
import { fillPattern, isFilled, patternChecksum } from '../support/pattern-bytes.ts';
import { startWorker, type Worker } from '../support/processes.ts';
import { sharedBroker } from '../support/shared-broker.ts';

const MIB = 2 ** 20;
const GIB = 2 ** 30;
const SIZES = [
  1,
  1023,
  1024,
  1025,
  4092,
  4093,
  4096,
  4097,
  LARGE_PAGE_BYTES - 1,
  LARGE_PAGE_BYTES,
  LARGE_PAGE_BYTES + 1,
  20 * MIB,
];
const LARGE_SIZES = [1023, 4093, LARGE_PAGE_BYTES - 1, LARGE_PAGE_BYTES, LARGE_PAGE_BYTES + 1, 20 * MIB];
const WANTED_PAGES = 16;
/** The byte that neighbours are full of. */
const CANARY = 0xa5;

const skippedLarge = whyNoLargePages(WANTED_PAGES);
if (skippedLarge !== '') console.warn(`skipped: canaries in large pages: ${skippedLarge}`);
const HUGE_BYTES = 4 * GIB + 8 * MIB + 1;
const skippedHuge = availableBytes() < 6 * GIB ? 'needs 6 GiB of available memory' : '';
if (skippedHuge !== '') console.warn(`skipped: a mapping of more than 4 GiB: ${skippedHuge}`);

const { runtimeDir } = sharedBroker();

async function connected(): Promise<Broker> {
  const broker = await connect({ runtimeDir, name: 'canaries' });
  onTestFinished(() => broker.close());
  return broker;
}

interface Neighbour {
  readonly mapping: Mapping;
  readonly attachment: MappingAttachment<Uint8Array>;
  /** @throws when a byte of it is not what it was */
  check(): void;
}

async function neighbour(broker: Broker, sizeBytes: number, pages: PagePolicy): Promise<Neighbour> {
  const mapping = await broker.createMapping(`canary/${randomUUID()}`, { sizeBytes, pages });
  const attachment = await mapping.attach('write');
  attachment.bytes.fill(CANARY);
  const check = () => expect(isFilled(attachment.bytes, CANARY), `the canary of ${sizeBytes} B`).toBe(true);
  return { mapping, attachment, check };
}

/** Nothing of the last page beyond the payload is in any view, or can be asked for. */
async function expectNoSlack(attachment: MappingAttachment<Uint8Array>, sizeBytes: number): Promise<void> {
  const { bytes } = attachment;
  expect([bytes.length, bytes.byteOffset, bytes.buffer.byteLength, attachment.sizeBytes]).toEqual([
    sizeBytes,
    0,
    sizeBytes,
    sizeBytes,
  ]);
  for (const [offset, length] of [
    [0, sizeBytes + 1],
    [sizeBytes, 1],
    [sizeBytes - 1, 2],
  ] as const) {
    const error = await failureOf(() => attachment.window(offset, length), `${length} B at ${offset}`);
    expect(error.code).toBe('INVALID_SIZE');
  }
  using last = attachment.window(sizeBytes - 1, 1);
  expect(last.bytes.buffer.byteLength).toBe(1);
}

async function expectRoundTrip(mapping: Mapping, [writer, reader]: readonly [Worker, Worker], sizeBytes: number) {
  const { name } = mapping;
  await writer.ask({ do: 'attach', name, access: 'write' });
  await reader.ask({ do: 'lease', name, mode: 'shared' });
  expect(await reader.ask({ do: 'checksum', name })).toBe(crc32(new Uint8Array(sizeBytes)));
  const checksum = patternChecksum(sizeBytes, sizeBytes);
  expect(await writer.ask({ do: 'fill', name, seed: sizeBytes })).toBe(checksum);
  expect(await reader.ask({ do: 'checksum', name })).toBe(checksum);
  expect(await reader.ask({ do: 'look', name })).toMatchObject({ now: sizeBytes });
  await writer.ask({ do: 'detach', name });
  await reader.ask({ do: 'release', name });
}

describe.each([
  { kind: 'base', pages: 'never', sizes: SIZES, skipped: '' },
  { kind: 'hugetlb-2m', pages: 'require', sizes: LARGE_SIZES, skipped: skippedLarge },
] as const)('in $kind pages', ({ kind, pages, sizes, skipped }) => {
  it.skipIf(skipped !== '')('every size round-trips exactly, and its neighbours are untouched', async () => {
    if (kind !== 'base') needLargePages(WANTED_PAGES);
    const broker = await connected();
    const workers = [startWorker('memory-client', [runtimeDir]), startWorker('memory-client', [runtimeDir])] as const;
    for (const sizeBytes of sizes) {
      const before = await neighbour(broker, 1025, pages);
      const mapping = await broker.createMapping(`sized/${sizeBytes}`, { sizeBytes, pages });
      expect(mapping.info.memory).toMatchObject({ payloadBytes: sizeBytes, pageKind: kind });
      const attachment = await mapping.attach('write');
      const after = await neighbour(broker, 1025, pages);
      await expectNoSlack(attachment, sizeBytes);
      await expectRoundTrip(mapping, workers, sizeBytes);
      expect(crc32(attachment.bytes)).toBe(patternChecksum(sizeBytes, sizeBytes));
      for (const { check } of [before, after]) check();
      // The other way: they do not reach into it.
      for (const each of [before, after]) each.attachment.bytes.fill(0);
      expect(crc32(attachment.bytes)).toBe(patternChecksum(sizeBytes, sizeBytes));
      await attachment.close();
      for (const gone of [before, after]) await gone.attachment.close();
      for (const gone of [mapping, before.mapping, after.mapping]) await gone.delete();
    }
  });
});

describe.skipIf(skippedHuge !== '')(
  `a mapping of more than 4 GiB${skippedHuge && ` (skipped: ${skippedHuge})`}`,
  () => {
    /** Where a number of 32 bits would wrap, or a rounded one would end. */
    const PARTS = [
      { offset: 0, length: MIB },
      { offset: 2 * GIB - 5, length: MIB },
      { offset: 4 * GIB - MIB / 2, length: MIB },
      { offset: HUGE_BYTES - MIB, length: MIB },
    ];

    it('is exactly as large as asked, and its parts are where they should be', async () => {
      const broker = await connected();
      const name = 'huge';
      const before = await neighbour(broker, 4093, 'never');
      const mapping = await broker.createMapping(name, {
        sizeBytes: MIB,
        reserveBytes: HUGE_BYTES + GIB,
        pages: 'never',
      });
      const attachment = await mapping.attach('write');
      const grown = await mapping.resize(HUGE_BYTES);
      expect(grown.memory.payloadBytes).toBe(HUGE_BYTES);
      const after = await neighbour(broker, 4093, 'never');
      expect(attachment.bytes).toHaveLength(HUGE_BYTES);
      await expectNoSlack(attachment, HUGE_BYTES);

      const [writer, reader] = [startWorker('memory-client', [runtimeDir]), startWorker('memory-client', [runtimeDir])];
      await writer.ask({ do: 'attach', name, access: 'write' });
      await reader.ask({ do: 'attach', name, access: 'read' });
      for (const [seed, part] of PARTS.entries()) await writer.ask({ do: 'fill', name, seed, ...part });
      for (const [seed, part] of PARTS.entries()) {
        const checksum = patternChecksum(part.length, seed);
        expect(await reader.ask({ do: 'checksum', name, ...part }), `at ${part.offset}`).toBe(checksum);
        using window = attachment.window(part.offset, part.length);
        expect(crc32(window.bytes), `at ${part.offset}`).toBe(checksum);
        // Through one view of all of it, too.
        const whole = attachment.bytes.subarray(part.offset, part.offset + part.length);
        expect(whole).toHaveLength(part.length);
        expect(crc32(whole), `at ${part.offset}, of the whole`).toBe(checksum);
      }
      for (const { check } of [before, after]) check();
      await attachment.close();
      await mapping.delete();
    });
  },
);

it('the pattern tells a byte too many, too few, or moved', () => {
  const bytes = new Uint8Array(70_000);
  const checksum = fillPattern(bytes, 1);
  expect(crc32(bytes.subarray(1))).not.toBe(checksum);
  expect(crc32(bytes.copyWithin(0, 1))).not.toBe(checksum);
  expect(patternChecksum(70_000, 2)).not.toBe(checksum);
  expect(patternChecksum(69_999, 1)).not.toBe(checksum);
});
