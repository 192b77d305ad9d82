// `locked: true`: the kernel itself says that the memory is locked, or there is an error that says what to do. Large pages always are.
import { randomUUID } from 'node:crypto';
import { type Broker, connect } from '@leasehold/client';
import { describe, expect, it, onTestFinished } from 'vitest';
import { startConfinedBroker } from '../support/confined-broker.ts';
import { failureOf } from '../support/failure.ts';
import { needLargePages, whyNoLargePages } from '../support/large-pages.ts';
import { mappedMemoryOf, statusBytes } from '../support/mapping-memory.ts';
import { sharedBroker } from '../support/shared-broker.ts';

const KIB = 1024;
const MIB = 2 ** 20;
const NOBODY = 65_534;
const WANTED_PAGES = 4;
/** What the shell's limit lets an ordinary user lock. */
const LOCKABLE_KIB = 512;

const isRoot = process.getuid?.() === 0;
if (!isRoot) console.warn('skipped: a broker of an ordinary user: only root can start one');
const skippedLarge = whyNoLargePages(WANTED_PAGES);
if (skippedLarge !== '') console.warn(`skipped: large pages are always resident: ${skippedLarge}`);

async function connected(runtimeDir: string): Promise<Broker> {
  const broker = await connect({ runtimeDir, name: 'residency' });
  onTestFinished(() => broker.close());
  return broker;
}

describe.skipIf(!isRoot)('a locked mapping (skipped without root)', () => {
  const { runtimeDir } = sharedBroker();

  it('is locked in the broker, as far as it is committed, and is not when it is gone', async () => {
    const broker = await connected(runtimeDir);
    const { pid } = await broker.info();
    const before = statusBytes(pid, 'VmLck');
    const options = { sizeBytes: MIB + 1, reserveBytes: 8 * MIB, pages: 'never', locked: true } as const;
    const mapping = await broker.createMapping('locked', options);
    expect(mapping.info.memory.locked).toBe(true);
    const { id } = mapping.info;
    for (const sizeBytes of [null, 8 * MIB, 3 * MIB, 1]) {
      if (sizeBytes !== null) await mapping.resize(sizeBytes);
      const { mappedBytes } = mapping.info.memory;
      expect(mappedMemoryOf(pid, id).lockedBytes, `at ${sizeBytes} B`).toBe(mappedBytes);
      expect(statusBytes(pid, 'VmLck') - before, `at ${sizeBytes} B`).toBe(mappedBytes);
    }
    await using attachment = await mapping.attach('write');
    attachment.bytes.fill(1);
    await attachment.close();
    await mapping.delete();
    await expect.poll(() => statusBytes(pid, 'VmLck')).toBe(before);
  });

  it('is only what was asked for', async () => {
    const broker = await connected(runtimeDir);
    const mapping = await broker.createMapping(randomUUID(), { sizeBytes: MIB, pages: 'never' });
    expect(mapping.info.memory.locked).toBe(false);
    expect(mappedMemoryOf((await broker.info()).pid, mapping.info.id).lockedBytes).toBe(0);
    const opened = { sizeBytes: MIB, pages: 'never', locked: true, ifExists: 'open-if-same' } as const;
    expect(await failureOf(() => broker.createMapping(mapping.name, opened))).toMatchObject({ code: 'SPEC_MISMATCH' });
  });
});

describe.skipIf(!isRoot)('a broker that may lock little (skipped without root)', () => {
  const confined = async (): Promise<Broker> => {
    const { runtimeDir } = await startConfinedBroker({ before: `ulimit -l ${LOCKABLE_KIB}`, uid: NOBODY });
    return connected(runtimeDir);
  };

  it('says so, and what to do, and keeps neither memory nor charge nor size', async () => {
    const broker = await confined();
    expect((await broker.info()).uid).toBe(NOBODY);
    const options = { sizeBytes: MIB, pages: 'never', locked: true } as const;
    const error = await failureOf(() => broker.createMapping('m', options));
    expect(error).toMatchObject({ code: 'MEMORY_NOT_LOCKABLE', metadata: { call: 'mlock' } });
    expect(error.message).toMatch(/RLIMIT_MEMLOCK/);
    expect((await broker.info()).memoryChargedBytes).toBe(0);
    expect(await broker.listMappings()).toEqual([]);

    const small = { sizeBytes: 64 * KIB, reserveBytes: 2 * MIB, pages: 'never', locked: true } as const;
    const mapping = await broker.createMapping('m', small);
    const charged = (await broker.info()).memoryChargedBytes;
    expect(await failureOf(() => mapping.resize(2 * MIB))).toMatchObject({ code: 'MEMORY_NOT_LOCKABLE' });
    expect((await broker.mapping('m')).info.memory).toMatchObject({ payloadBytes: 64 * KIB, locked: true });
    expect((await broker.info()).memoryChargedBytes).toBe(charged);
    expect(mappedMemoryOf((await broker.info()).pid, mapping.info.id).lockedBytes).toBe(64 * KIB);
    expect((await mapping.resize(128 * KIB)).memory.payloadBytes).toBe(128 * KIB);
  });

  it.skipIf(skippedLarge !== '')('has large pages that are resident all the same', async () => {
    needLargePages(WANTED_PAGES);
    const broker = await confined();
    for (const locked of [true, false]) {
      const mapping = await broker.createMapping(`m-${locked}`, { sizeBytes: 3 * MIB, pages: 'require', locked });
      expect(mapping.info.memory).toMatchObject({ locked: true, pageKind: 'hugetlb-2m' });
    }
  });
});
