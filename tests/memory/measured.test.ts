// PRIOR-ART "an untouched reservation costs about nothing (measured, not assumed)" and "the freed memory is measured": what a mapping
// takes of the machine, as the kernel counts it for the broker and for a client.
import { randomUUID } from 'node:crypto';
import { type Broker, connect, type MemoryGrant, type PagePolicy } from '@leasehold/client';
import { describe, expect, it, onTestFinished } from 'vitest';
import { heldBy } from '../hostile/figures.ts';
import { freeLargePages, LARGE_PAGE_BYTES, needLargePages, whyNoLargePages } from '../support/large-pages.ts';
import { allocatedBytesOf, mappedMemoryOf, openMemoryOf, statusBytes } from '../support/mapping-memory.ts';
import { startWorker, type Worker } from '../support/processes.ts';
import { sharedBroker } from '../support/shared-broker.ts';

const MIB = 2 ** 20;
const GIB = 2 ** 30;
const PAGE_BYTES = 4096;
const WANTED_PAGES = 20;

const skippedLarge = whyNoLargePages(WANTED_PAGES);
if (skippedLarge !== '') console.warn(`skipped: what large pages take: ${skippedLarge}`);

const { runtimeDir } = sharedBroker();

async function connected(): Promise<{ broker: Broker; brokerPid: number }> {
  const broker = await connect({ runtimeDir, name: 'measured' });
  onTestFinished(() => broker.close());
  const { pid } = await broker.info();
  await settled(pid);
  return { broker, brokerPid: pid };
}

/** Large memory is given back in the background. */
const settled = (brokerPid: number): Promise<void> => expect.poll(() => heldBy(brokerPid).memfds).toBe(0);

const someName = (): string => `measured/${randomUUID()}`;

/** Of what a process has mapped of shared memory, how much is resident: the payload and all that belongs to it, B. */
const sharedResident = (pid: number): number => statusBytes(pid, 'RssShmem');

async function touch(worker: Worker, name: string, length: number, seed: number): Promise<void> {
  await worker.ask({ do: 'fill', name, seed, offset: 0, length });
}

describe.each([
  { kind: 'base', pages: 'never', pageBytes: PAGE_BYTES, skipped: '' },
  { kind: 'hugetlb-2m', pages: 'require', pageBytes: LARGE_PAGE_BYTES, skipped: skippedLarge },
] as const)('in $kind pages', ({ kind, pages, pageBytes, skipped }) => {
  const test = it.skipIf(skipped !== '');
  const isLarge = kind !== 'base';

  test('an untouched reservation of 64 GiB costs less than 1 MiB', async () => {
    if (isLarge) needLargePages(WANTED_PAGES);
    const { broker, brokerPid } = await connected();
    const worker = startWorker('memory-client', [runtimeDir]);
    // What a first attachment costs at all is not the reservation's.
    const small = await broker.createMapping(someName(), { sizeBytes: 1, pages: 'never' });
    await worker.ask({ do: 'attach', name: small.name, access: 'write' });
    const pids = [brokerPid, worker.pid];
    const before = { allocated: allocatedBytesOf(brokerPid), shared: pids.map(sharedResident), free: freeLargePages() };
    const charged = (await broker.info()).memoryChargedBytes;

    const options = { sizeBytes: 1, reserveBytes: 64 * GIB, pages };
    const reserved = await broker.createMapping(someName(), options);
    await worker.ask({ do: 'attach', name: reserved.name, access: 'write' });

    expect(reserved.info.memory).toMatchObject({ reservedBytes: 64 * GIB, mappedBytes: pageBytes, pageKind: kind });
    const { id } = reserved.info;
    expect(openMemoryOf(brokerPid, id)).toEqual({ bytes: 64 * GIB, allocatedBytes: pageBytes });
    // Besides the one page that is committed.
    expect(allocatedBytesOf(brokerPid) - before.allocated - pageBytes).toBeLessThan(MIB);
    for (const [i, pid] of pids.entries()) expect(sharedResident(pid) - (before.shared[i] as number)).toBeLessThan(MIB);
    expect(before.free - freeLargePages()).toBe(isLarge ? 1 : 0);
    expect((await broker.info()).memoryChargedBytes - charged - pageBytes).toBeLessThan(MIB);
    expect(mappedMemoryOf(worker.pid, id).lines).toHaveLength(1);
    await reserved.delete();
    await small.delete();
  });

  test('committing and giving back moves blocks, resident memory and the pool by the very pages', async () => {
    if (isLarge) needLargePages(WANTED_PAGES);
    const { broker, brokerPid } = await connected();
    const worker = startWorker('memory-client', [runtimeDir]);
    const [smallBytes, largeBytes] = [2 * MIB, 32 * MIB];
    const mapping = await broker.createMapping(someName(), { sizeBytes: smallBytes, reserveBytes: largeBytes, pages });
    const { name } = mapping;
    const { id } = mapping.info;
    await worker.ask({ do: 'lease', name, mode: 'exclusive' });
    const free = freeLargePages();
    const residentBytes = () => mappedMemoryOf(worker.pid, id).residentBytes;
    const allocatedBytes = () => openMemoryOf(brokerPid, id).allocatedBytes;
    await touch(worker, name, smallBytes, 1);
    expect([residentBytes(), allocatedBytes()]).toEqual([smallBytes, smallBytes]);
    for (let round = 0; round < 3; round += 1) {
      await mapping.resize(largeBytes);
      expect(allocatedBytes()).toBe(largeBytes);
      // Nobody pays for it in his own page tables before he touches it.
      expect(residentBytes()).toBe(smallBytes);
      await touch(worker, name, largeBytes, 2);
      expect(residentBytes()).toBe(largeBytes);
      expect(free - freeLargePages()).toBe(isLarge ? (largeBytes - smallBytes) / LARGE_PAGE_BYTES : 0);
      await worker.ask({ do: 'release', name });
      await mapping.resize(smallBytes);
      expect(allocatedBytes()).toBe(smallBytes);
      expect(residentBytes()).toBe(smallBytes);
      expect(freeLargePages()).toBe(free);
      await worker.ask({ do: 'lease', name, mode: 'exclusive' });
    }
    await mapping.delete();
  });

  test('resizes, 200 of them, leave what was there before', async () => {
    if (isLarge) needLargePages(WANTED_PAGES);
    const { broker, brokerPid } = await connected();
    const options = { sizeBytes: PAGE_BYTES, reserveBytes: 16 * MIB, pages };
    const mapping = await broker.createMapping(someName(), options);
    const sizes = [16 * MIB, PAGE_BYTES, 8 * MIB + 1, 3, 12 * MIB, PAGE_BYTES];
    const around = async (): Promise<void> => {
      for (const sizeBytes of sizes) await mapping.resize(sizeBytes);
    };
    await around();
    const state = async () => ({
      broker: heldBy(brokerPid),
      allocatedBytes: openMemoryOf(brokerPid, mapping.info.id).allocatedBytes,
      free: freeLargePages(),
      chargedBytes: (await broker.info()).memoryChargedBytes,
    });
    const before = await state();
    for (let resizes = 0; resizes < 200; resizes += sizes.length) await around();
    expect(await state()).toEqual(before);
    await mapping.delete();
  });
});

describe('mappings', () => {
  async function cycles(broker: Broker, count: number, policies: readonly PagePolicy[]): Promise<Set<string>> {
    const kinds = new Set<string>();
    for (let each = 0; each < count; each += 1) {
      const name = `cycle/${each % 3}`;
      const pages = policies[each % policies.length] as PagePolicy;
      const mapping = await broker.createMapping(name, { sizeBytes: 1 + each * 37, reserveBytes: GIB, pages });
      kinds.add((mapping.info.memory satisfies MemoryGrant).pageKind);
      if (each % 10 === 0) {
        await using attachment = await mapping.attach('write');
        attachment.bytes.fill(1);
        using _lease = await mapping.lease('shared');
      }
      await mapping.delete();
    }
    return kinds;
  }

  it('created and deleted 2,000 times leave no descriptor, no memory and no charge', async () => {
    if (skippedLarge === '') needLargePages(WANTED_PAGES);
    const { broker, brokerPid } = await connected();
    const policies: PagePolicy[] = skippedLarge === '' ? ['never', 'never', 'never', 'require'] : ['never'];
    await cycles(broker, 50, policies);
    await settled(brokerPid);
    const state = async () => ({
      broker: heldBy(brokerPid),
      memfdMaps: heldBy('self').memfdMaps,
      allocatedBytes: allocatedBytesOf(brokerPid),
      free: freeLargePages(),
      chargedBytes: (await broker.info()).memoryChargedBytes,
    });
    const before = await state();
    const kinds = await cycles(broker, 2000, policies);
    expect(kinds).toContain('base');
    if (skippedLarge === '') expect(kinds).toContain('hugetlb-2m');
    await expect.poll(state).toEqual(before);
  });
});
