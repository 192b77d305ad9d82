/**
 * Transparent pages from the broker to the page tables of its clients. The broker may use no hugetlb pages (a quota of none), so that it does
 * not matter what is in the pool. Skipped where the kernel makes no transparent pages for shared memory.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Broker, connect, type MappingInfo } from '@leasehold/client';
import { createLinuxSegmentOs } from '@leasehold/shm-core/internal';
import { describe, expect, it, onTestFinished } from 'vitest';
import { startBroker } from '../support/broker-process.ts';
import { tempDir } from '../support/temp-dir.ts';

const MIB = 2 ** 20;
const os = createLinuxSegmentOs();
const missing = os.pageBytes('transparent-2m') === undefined;
if (missing) console.warn('skipped: this kernel makes no transparent pages for shared memory');
/** Why there are no hugetlb pages: the quota is only looked at where there could be some. */
const NO_HUGETLB = {
  pageKind: 'hugetlb-2m',
  reason: os.pageBytes('hugetlb-2m') === undefined ? 'UNSUPPORTED' : 'QUOTA',
} as const;

async function brokerWithoutHugetlb(): Promise<Broker> {
  const config = join(tempDir(), 'leasehold.toml');
  writeFileSync(config, '[quotas.total]\nlargePageBytes = 0\n');
  const { runtimeDir } = await startBroker(['--config', config]);
  const broker = await connect({ runtimeDir });
  onTestFinished(() => broker.close());
  return broker;
}

/** For each mapping of it in this process: how much of it there is, and how much large pages map, B. */
function pageTables({ id }: MappingInfo): { bytes: number; largeBytes: number }[] {
  const areas = readFileSync('/proc/self/smaps', 'utf8').split(/^(?=[0-9a-f]+-[0-9a-f]+ )/m);
  const bytesOf = (area: string, name: string) =>
    Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(area)?.[1]) * 1024;
  return areas
    .filter((area) => area.includes(`/memfd:leasehold.${id} (deleted)`))
    .map((area) => ({ bytes: bytesOf(area, 'Size'), largeBytes: bytesOf(area, 'ShmemPmdMapped') }));
}

describe.skipIf(missing)('a mapping of transparent pages', () => {
  it('is one in the page tables of those who read and of those who write', async () => {
    const broker = await brokerWithoutHugetlb();
    const mapping = await broker.createMapping('clear', { sizeBytes: 21 * MIB, pages: 'auto' });
    expect(mapping.info.memory).toMatchObject({
      payloadBytes: 21 * MIB,
      mappedBytes: 22 * MIB,
      pageKind: 'transparent-2m',
      pageBytes: 2 * MIB,
      fallbackReason: NO_HUGETLB.reason,
      stepDowns: [NO_HUGETLB],
    });
    const writer = await mapping.attach('write');
    const reader = await mapping.attach('read');
    writer.bytes.fill(7);
    expect(reader.bytes.every((byte) => byte === 7)).toBe(true);
    expect(pageTables(mapping.info)).toEqual([
      { bytes: 22 * MIB, largeBytes: 22 * MIB },
      { bytes: 22 * MIB, largeBytes: 22 * MIB },
    ]);
  });

  it('is not what `require` asks for, nor what a mapping that can grow gets', async () => {
    const broker = await brokerWithoutHugetlb();
    await expect(broker.createMapping('a', { sizeBytes: 4 * MIB, pages: 'require' })).rejects.toMatchObject({
      code: NO_HUGETLB.reason === 'QUOTA' ? 'QUOTA_EXCEEDED' : 'LARGE_PAGES_UNAVAILABLE',
    });
    const sizes = { sizeBytes: 4 * MIB, reserveBytes: 64 * MIB };
    const { info } = await broker.createMapping('b', { ...sizes, pages: 'auto' });
    expect(info.memory).toMatchObject({
      pageKind: 'base',
      mappedBytes: 4 * MIB,
      stepDowns: [NO_HUGETLB, { pageKind: 'transparent-2m', reason: 'UNSUPPORTED' }],
    });
  });
});
