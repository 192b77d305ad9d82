// PRIOR-ART "reserve hundreds of megabytes, take only what is needed" and "commit is cumulative …", on base and on large pages: three
// processes and a broker look at one mapping whose size changes.
import { randomUUID } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { type Broker, connect, type Mapping, type MappingInfo } from '@leasehold/client';
import { describe, expect, it, onTestFinished } from 'vitest';
import { startBroker } from '../support/broker-process.ts';
import { failureOf } from '../support/failure.ts';
import { freeLargePages, LARGE_PAGE_BYTES, needLargePages, whyNoLargePages } from '../support/large-pages.ts';
import { mappedMemoryOf, openMemoryOf } from '../support/mapping-memory.ts';
import { fillPattern, isFilled, patternChecksum } from '../support/pattern-bytes.ts';
import { startWorker, type Worker } from '../support/processes.ts';
import { sharedBroker } from '../support/shared-broker.ts';

const MIB = 2 ** 20;
/** The memory of one test, in each kind of pages. */
const SMALL_BYTES = 2 * MIB;
const LARGE_BYTES = 16 * MIB;
const RESERVE_BYTES = 32 * MIB;
const WANTED_PAGES = 24;
/** More than that, and a test would take too long over taking them all. */
const EXHAUSTED_PAGES_MAX = 512;

const skippedLarge = whyNoLargePages(WANTED_PAGES);
if (skippedLarge !== '') console.warn(`skipped: resizing large pages: ${skippedLarge}`);

const shared = sharedBroker();

interface Scene {
  readonly runtimeDir: string;
  readonly broker: Broker;
  readonly brokerPid: number;
  readonly name: string;
  readonly mapping: Mapping;
  readonly id: bigint;
}

async function scene(pages: 'never' | 'require', runtimeDir = shared.runtimeDir): Promise<Scene> {
  if (pages === 'require') needLargePages(WANTED_PAGES);
  const broker = await connect({ runtimeDir, name: 'resizer' });
  onTestFinished(() => broker.close());
  const name = `resize/${randomUUID()}`;
  const mapping = await broker.createMapping(name, { sizeBytes: SMALL_BYTES, reserveBytes: RESERVE_BYTES, pages });
  // Taking part in its lock is charged, too.
  await mapping.prepare('exclusive');
  return { runtimeDir, broker, brokerPid: (await broker.info()).pid, name, mapping, id: mapping.info.id };
}

const client = ({ runtimeDir }: Scene): Worker => startWorker('memory-client', [runtimeDir]);
const chargedBytes = async ({ broker }: Scene): Promise<number> => (await broker.info()).memoryChargedBytes;
const sizeOf = ({ memory }: MappingInfo): number => memory.payloadBytes;
const sizeNow = async ({ broker, name }: Scene): Promise<number> => sizeOf((await broker.mapping(name)).info);

describe.each([
  { kind: 'base', pages: 'never', skipped: '' },
  { kind: 'hugetlb-2m', pages: 'require', skipped: skippedLarge },
] as const)('a mapping of $kind pages', ({ kind, pages, skipped }) => {
  const isLarge = kind !== 'base';
  const test = it.skipIf(skipped !== '');

  test('grows and shrinks for every process at once, and none of them maps anything anew', async () => {
    const set = await scene(pages);
    const { mapping, name, id } = set;
    const [leased, attached] = [client(set), client(set)];
    await leased.ask({ do: 'lease', name, mode: 'shared' });
    await attached.ask({ do: 'attach', name, access: 'read' });
    const mine = await mapping.attach('write');
    const both = [leased, attached];
    const mapped = both.map(({ pid }) => mappedMemoryOf(pid, id).lines);
    expect(mapped.flat()).toHaveLength(2);
    const before = { before: SMALL_BYTES, now: SMALL_BYTES, same: true };
    for (const worker of both) expect(await worker.ask({ do: 'look', name })).toEqual(before);

    expect(sizeOf(await mapping.resize(LARGE_BYTES))).toBe(LARGE_BYTES);
    const checksum = fillPattern(mine.bytes, 7);
    for (const worker of both) {
      expect(await worker.ask({ do: 'look', name })).toEqual({ before: 0, now: LARGE_BYTES, same: false });
      expect(await worker.ask({ do: 'checksum', name })).toBe(checksum);
    }
    expect(both.map(({ pid }) => mappedMemoryOf(pid, id).lines)).toEqual(mapped);

    await leased.ask({ do: 'release', name });
    // They are not taken from under who has them attached past the lock.
    if (isLarge) await attached.ask({ do: 'detach', name });
    expect(sizeOf(await mapping.resize(SMALL_BYTES))).toBe(SMALL_BYTES);
    await leased.ask({ do: 'lease', name, mode: 'shared' });
    for (const worker of isLarge ? [leased] : both) {
      expect(await worker.ask({ do: 'look', name })).toMatchObject({ now: SMALL_BYTES });
      expect(await worker.ask({ do: 'checksum', name })).toBe(crc32(mine.bytes));
    }
    expect(mappedMemoryOf(leased.pid, id).lines).toEqual(mapped[0]);
  });

  test('keeps its data, empties what was viewed, and is zero where it comes back', async () => {
    const { mapping } = await scene(pages);
    const mine = await mapping.attach('write');
    const small = mine.bytes;
    small.fill(1);
    await mapping.resize(LARGE_BYTES);
    expect(mine.bytes).toHaveLength(LARGE_BYTES);
    expect(small).toHaveLength(0);
    expect(isFilled(mine.bytes.subarray(0, SMALL_BYTES), 1)).toBe(true);
    expect(isFilled(mine.bytes.subarray(SMALL_BYTES), 0)).toBe(true);
    mine.bytes.fill(2, SMALL_BYTES);
    // Not at the border of a page: what is left of the last one is given back as zeros, too.
    const cut = SMALL_BYTES - 1000;
    await mapping.resize(cut);
    expect(mine.bytes).toHaveLength(cut);
    expect(mine.sizeBytes).toBe(cut);
    await mapping.resize(LARGE_BYTES);
    expect(isFilled(mine.bytes.subarray(0, cut), 1)).toBe(true);
    expect(isFilled(mine.bytes.subarray(cut), 0)).toBe(true);
  });

  test('is charged, and takes of the machine, what it commits', async () => {
    const set = await scene(pages);
    const { mapping, brokerPid, id } = set;
    const chargedAtFirst = await chargedBytes(set);
    const freeAtFirst = freeLargePages();
    expect(openMemoryOf(brokerPid, id)).toEqual({ bytes: RESERVE_BYTES, allocatedBytes: SMALL_BYTES });
    for (const sizeBytes of [LARGE_BYTES, LARGE_BYTES - 1, SMALL_BYTES + 1, RESERVE_BYTES, SMALL_BYTES]) {
      const { memory } = await mapping.resize(sizeBytes);
      const mappedBytes = Math.ceil(sizeBytes / memory.pageBytes) * memory.pageBytes;
      const granted = { payloadBytes: sizeBytes, mappedBytes, reservedBytes: RESERVE_BYTES, pageKind: kind };
      expect(memory).toMatchObject(granted);
      expect((await chargedBytes(set)) - chargedAtFirst).toBe(mappedBytes - SMALL_BYTES);
      expect(openMemoryOf(brokerPid, id)).toEqual({ bytes: RESERVE_BYTES, allocatedBytes: mappedBytes });
      if (isLarge) expect(freeAtFirst - freeLargePages()).toBe((mappedBytes - SMALL_BYTES) / LARGE_PAGE_BYTES);
    }
  });

  test('keeps its size when the reservation or the quota does not suffice', async () => {
    const { runtimeDir } = await startBroker(['--memory-quota', '24MiB']);
    const set = await scene(pages, runtimeDir);
    const { mapping } = set;
    const charged = await chargedBytes(set);
    expect(await failureOf(() => mapping.resize(RESERVE_BYTES + 1))).toMatchObject({
      code: 'INVALID_SIZE',
      metadata: { reserveBytes: `${RESERVE_BYTES}`, requestedBytes: `${RESERVE_BYTES + 1}` },
    });
    const quota = await failureOf(() => mapping.resize(RESERVE_BYTES));
    expect(quota).toMatchObject({ code: 'QUOTA_EXCEEDED', metadata: { quota: 'bytes' } });
    expect(await sizeNow(set)).toBe(SMALL_BYTES);
    expect(await chargedBytes(set)).toBe(charged);
    await mapping.resize(LARGE_BYTES);
    expect(await sizeNow(set)).toBe(LARGE_BYTES);
  });

  test('grows cumulatively: less than there is changes nothing', async () => {
    const { mapping } = await scene(pages);
    expect(sizeOf(await mapping.grow(LARGE_BYTES))).toBe(LARGE_BYTES);
    expect(sizeOf(await mapping.grow(SMALL_BYTES))).toBe(LARGE_BYTES);
    expect(sizeOf(await mapping.grow(LARGE_BYTES))).toBe(LARGE_BYTES);
    expect(sizeOf(await mapping.resize(LARGE_BYTES))).toBe(LARGE_BYTES);
  });

  test('shrinks under the lease that one has, or takes, and not while somebody else has one', async () => {
    const set = await scene(pages);
    const { mapping, name } = set;
    await mapping.resize(LARGE_BYTES);
    const lease = await mapping.lease('exclusive');
    const { bytes } = lease;
    expect(sizeOf(await mapping.resize(LARGE_BYTES - 5, { lease }))).toBe(LARGE_BYTES - 5);
    expect(bytes).toHaveLength(0);
    expect(lease.bytes).toHaveLength(LARGE_BYTES - 5);
    lease.release();
    expect(sizeOf(await mapping.resize(LARGE_BYTES - 6))).toBe(LARGE_BYTES - 6);

    const other = client(set);
    for (const mode of ['shared', 'exclusive']) {
      await other.ask({ do: 'lease', name, mode });
      expect(await failureOf(() => mapping.resize(SMALL_BYTES, { waitMs: 1 }))).toMatchObject({
        code: 'LEASE_TIMEOUT',
      });
      expect(await sizeNow(set)).toBe(LARGE_BYTES - 6);
      // Growing takes nothing from anybody.
      expect(sizeOf(await mapping.grow(LARGE_BYTES - 4))).toBe(LARGE_BYTES - 4);
      await other.ask({ do: 'release', name });
      expect(sizeOf(await mapping.resize(LARGE_BYTES - 6))).toBe(LARGE_BYTES - 6);
    }
  });

  test('has one of two sizes when two processes change it at once', async () => {
    const set = await scene(pages);
    const { mapping, name, brokerPid, id } = set;
    const sizes = [LARGE_BYTES, LARGE_BYTES - MIB];
    const workers = [client(set), client(set)];
    for (let round = 0; round < 5; round += 1) {
      const asked = workers.map((worker, i) => worker.ask<number>({ do: 'resize', name, sizeBytes: sizes[i] }));
      // What is answered is the size that it has then, which the other may have changed since.
      for (const answer of await Promise.all(asked)) expect(sizes).toContain(answer);
      const { payloadBytes, mappedBytes } = (await set.broker.mapping(name)).info.memory;
      expect(sizes).toContain(payloadBytes);
      expect(openMemoryOf(brokerPid, id).allocatedBytes).toBe(mappedBytes);
      await mapping.resize(SMALL_BYTES);
    }
  });

  test('that was deleted and made anew is not resized by who knows the old one', async () => {
    const { broker, mapping, name } = await scene(pages);
    const attached = await mapping.attach('write');
    await mapping.delete();
    const anew = await broker.createMapping(name, { sizeBytes: 1000, reserveBytes: RESERVE_BYTES, pages });
    const resizes = [() => mapping.resize(LARGE_BYTES), () => mapping.resize(100), () => mapping.grow(LARGE_BYTES)];
    for (const resize of resizes) expect(await failureOf(resize)).toMatchObject({ code: 'MAPPING_DELETED' });
    expect(sizeOf((await broker.mapping(name)).info)).toBe(1000);
    expect(attached.deleted).toBe(true);
    expect(attached.bytes).toHaveLength(SMALL_BYTES);
    expect(sizeOf(await anew.resize(2000))).toBe(2000);
  });
});

describe.skipIf(skippedLarge !== '')(`large pages${skippedLarge && ` (skipped: ${skippedLarge})`}`, () => {
  it('that the pool does not have are an error that leaves the old size, and takes nothing', async ({ skip }) => {
    const { broker } = await scene('require');
    const free = freeLargePages();
    skip(free > EXHAUSTED_PAGES_MAX, `a pool of ${free} free pages is too large to be exhausted by a test`);
    const reserveBytes = (free + 8) * LARGE_PAGE_BYTES;
    const mapping = await broker.createMapping('too-large', { sizeBytes: 1, reserveBytes, pages: 'require' });
    // A reservation beyond the pool takes none of its pages.
    expect(freeLargePages()).toBe(free - 1);
    const charged = (await broker.info()).memoryChargedBytes;
    const error = await failureOf(() => mapping.resize(reserveBytes));
    expect(error).toMatchObject({ code: 'LARGE_PAGES_UNAVAILABLE', metadata: { reason: 'POOL_EXHAUSTED' } });
    expect(sizeOf((await broker.mapping('too-large')).info)).toBe(1);
    expect((await broker.info()).memoryChargedBytes).toBe(charged);
    expect(freeLargePages()).toBe(free - 1);
    expect(sizeOf(await mapping.resize(LARGE_BYTES))).toBe(LARGE_BYTES);
    await broker.deleteMapping('too-large');
    await expect.poll(freeLargePages).toBe(free);
  });

  it('are not taken from under somebody who has them attached past the lock', async () => {
    const set = await scene('require');
    const { mapping, name } = set;
    await mapping.resize(LARGE_BYTES);
    const other = client(set);
    await other.ask({ do: 'attach', name, access: 'read' });
    expect(await failureOf(() => mapping.resize(SMALL_BYTES))).toMatchObject({
      code: 'INVALID_STATE',
      metadata: { attachments: '1' },
    });
    expect(await sizeNow(set)).toBe(LARGE_BYTES);
    expect(await other.ask({ do: 'checksum', name })).toBe(crc32(new Uint8Array(LARGE_BYTES)));
    await other.ask({ do: 'detach', name });
    expect(sizeOf(await mapping.resize(SMALL_BYTES))).toBe(SMALL_BYTES);
  });
});

it('what is written in one process after a resize is read in another, byte for byte', async () => {
  const set = await scene('never');
  const { name } = set;
  const [writer, reader] = [client(set), client(set)];
  await writer.ask({ do: 'attach', name, access: 'write' });
  await reader.ask({ do: 'attach', name, access: 'read' });
  for (const sizeBytes of [SMALL_BYTES + 1, LARGE_BYTES - 1, RESERVE_BYTES, 4097, 1]) {
    expect(await writer.ask({ do: 'resize', name, sizeBytes })).toBe(sizeBytes);
    expect(await writer.ask({ do: 'fill', name, seed: sizeBytes })).toBe(patternChecksum(sizeBytes, sizeBytes));
    expect(await reader.ask({ do: 'checksum', name })).toBe(patternChecksum(sizeBytes, sizeBytes));
  }
});
