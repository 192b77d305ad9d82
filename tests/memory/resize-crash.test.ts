// A change of size whose client, broker or mapping goes away in the middle of it: the old size stays, and nothing is charged for it.
import { type Broker, connect, type Mapping } from '@leasehold/client';
import { describe, expect, it, onTestFinished } from 'vitest';
import { type BrokerProcess, startBroker } from '../support/broker-process.ts';
import { failureOf } from '../support/failure.ts';
import { allocatedBytesOf, availableBytes, openMemoryOf } from '../support/mapping-memory.ts';
import { fillPattern } from '../support/pattern-bytes.ts';
import { startWorker } from '../support/processes.ts';

const GIB = 2 ** 30;
const SIZE_BYTES = 2 ** 20;
/** So much that nobody gets to its end before he is killed. */
const RESERVE_BYTES = 3 * GIB;

const name = 'm';
const skipped =
  availableBytes() < 2 * RESERVE_BYTES ? `needs ${(2 * RESERVE_BYTES) / GIB} GiB of available memory` : '';
if (skipped !== '') console.warn(`skipped: growing by gigabytes: ${skipped}`);

interface Scene {
  readonly server: BrokerProcess;
  readonly broker: Broker;
  readonly mapping: Mapping;
  /** What of it takes memory, B. */
  allocatedBytes(): number;
}

async function scene(): Promise<Scene> {
  const server = await startBroker();
  const broker = await connect({ runtimeDir: server.runtimeDir, name: 'watcher' });
  onTestFinished(() => broker.close());
  const options = { sizeBytes: SIZE_BYTES, reserveBytes: RESERVE_BYTES, pages: 'never', persistent: true } as const;
  const mapping = await broker.createMapping(name, options);
  const { id } = mapping.info;
  return { server, broker, mapping, allocatedBytes: () => openMemoryOf(server.pid, id).allocatedBytes };
}

const soon = { timeout: 30_000, interval: 2 };

describe.skipIf(skipped !== '')(`growing by ${RESERVE_BYTES / GIB} GiB${skipped && ` (skipped: ${skipped})`}`, () => {
  it('by a client that is killed meanwhile leaves the old size, its charge and its memory', async () => {
    const { server, broker, mapping, allocatedBytes } = await scene();
    const charged = (await broker.info()).memoryChargedBytes;
    const grower = startWorker('memory-client', [server.runtimeDir]);
    const grown = grower.ask({ do: 'resize', name, sizeBytes: RESERVE_BYTES });
    grown.catch(() => undefined);
    await expect.poll(allocatedBytes, soon).toBeGreaterThan(SIZE_BYTES);
    // All of it is charged as long as it may come.
    expect((await broker.info()).memoryChargedBytes - charged).toBeGreaterThanOrEqual(RESERVE_BYTES - SIZE_BYTES);
    grower.kill('SIGKILL');
    await expect(grown).rejects.toThrow('SIGKILL');
    await expect.poll(async () => (await broker.info()).memoryChargedBytes, soon).toBe(charged);
    expect(allocatedBytes()).toBe(SIZE_BYTES);
    expect((await broker.mapping(name)).info.memory.payloadBytes).toBe(SIZE_BYTES);
    expect((await mapping.resize(2 * SIZE_BYTES)).memory.payloadBytes).toBe(2 * SIZE_BYTES);
  });

  it('that is cancelled leaves the old size, and whoever waits for his turn gets it', async () => {
    const { broker, mapping, allocatedBytes } = await scene();
    const charged = (await broker.info()).memoryChargedBytes;
    const enough = new AbortController();
    const cancelled = failureOf(() => mapping.resize(RESERVE_BYTES, { signal: enough.signal }));
    await expect.poll(allocatedBytes, soon).toBeGreaterThan(SIZE_BYTES);
    const next = mapping.resize(2 * SIZE_BYTES);
    enough.abort();
    expect(await cancelled).toMatchObject({ code: 'ABORTED' });
    expect((await next).memory.payloadBytes).toBe(2 * SIZE_BYTES);
    expect(allocatedBytes()).toBe(2 * SIZE_BYTES);
    expect((await broker.info()).memoryChargedBytes).toBe(charged + SIZE_BYTES);
  });

  it('ends with MAPPING_DELETED when the mapping is deleted, and all of it is given back', async () => {
    const { server, broker, mapping, allocatedBytes } = await scene();
    const grown = failureOf(() => mapping.resize(RESERVE_BYTES));
    await expect.poll(allocatedBytes, soon).toBeGreaterThan(SIZE_BYTES);
    await broker.deleteMapping(name);
    expect(await grown).toMatchObject({ code: 'MAPPING_DELETED' });
    await expect.poll(async () => (await broker.info()).memoryChargedBytes, soon).toBe(0);
    await expect.poll(() => allocatedBytesOf(server.pid), soon).toBe(0);
  });

  it('by a broker that is killed meanwhile lets who has it attached go on with the size that they know', async () => {
    const { server, mapping, allocatedBytes } = await scene();
    const other = startWorker('memory-client', [server.runtimeDir]);
    await other.ask({ do: 'attach', name, access: 'read' });
    const mine = await mapping.attach('write');
    const grown = failureOf(() => mapping.resize(RESERVE_BYTES));
    await expect.poll(allocatedBytes, soon).toBeGreaterThan(SIZE_BYTES);
    server.child.kill('SIGKILL');
    expect(await grown).toMatchObject({ code: 'BROKER_LOST' });
    expect(mine.bytes).toHaveLength(SIZE_BYTES);
    const checksum = fillPattern(mine.bytes, 1);
    expect(await other.ask({ do: 'look', name })).toEqual({ before: SIZE_BYTES, now: SIZE_BYTES, same: true });
    expect(await other.ask({ do: 'checksum', name })).toBe(checksum);
    expect(await failureOf(() => mapping.resize(2 * SIZE_BYTES))).toMatchObject({ code: 'BROKER_LOST' });
  });
});
