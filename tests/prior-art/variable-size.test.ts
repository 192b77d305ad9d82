// Conservative variable-size sharing (reserve, then commit on demand), row by row.
import { type Broker, connect } from '@leasehold/client';
import { beforeAll, expect, it, onTestFinished } from 'vitest';
import { openMemoryOf } from '../support/mapping-memory.ts';
import { startWorker } from '../support/processes.ts';
import { sharedBroker } from '../support/shared-broker.ts';

const MIB = 2 ** 20;
const GIB = 2 ** 30;
const { runtimeDir } = sharedBroker();
let broker: Broker;
const code = (expected: string) => expect.objectContaining({ code: expected });

beforeAll(async () => {
  broker = await connect({ runtimeDir, name: 'variable size' });
  return () => broker.close();
});

it('reserve hundreds of megabytes, take only what is needed', async () => {
  const mapping = await broker.createMapping('reserve', { sizeBytes: 4096, reserveBytes: 64 * GIB, pages: 'never' });
  const { pid } = await broker.info();
  expect(mapping.info.memory).toMatchObject({ payloadBytes: 4096, mappedBytes: 4096, reservedBytes: 64 * GIB });
  expect(openMemoryOf(pid, mapping.info.id).allocatedBytes).toBe(4096);
});

it('commit is cumulative, a smaller length is a no-op, failure is a value, the effect is immediate in every process', async () => {
  const mapping = await broker.createMapping('commit', { sizeBytes: MIB, reserveBytes: 8 * MIB, pages: 'never' });
  const peer = startWorker('memory-client', [runtimeDir]);
  await peer.ask({ do: 'attach', name: 'commit', access: 'read' });
  const look = () => peer.ask<{ now: number }>({ do: 'look', name: 'commit' });
  await look();
  for (const [sizeBytes, there] of [
    [4 * MIB, 4 * MIB],
    [2 * MIB, 4 * MIB],
    [4 * MIB, 4 * MIB],
    [8 * MIB, 8 * MIB],
  ] as const) {
    expect((await mapping.grow(sizeBytes)).memory.payloadBytes).toBe(there);
    expect((await look()).now).toBe(there);
  }
  await expect(mapping.grow(8 * MIB + 1)).rejects.toThrow(code('INVALID_SIZE'));
  expect((await look()).now).toBe(8 * MIB);
});

it('shrinking must be synchronised across processes: under an exclusive lease, and the memory is given back', async () => {
  const mapping = await broker.createMapping('shrink', { sizeBytes: 16 * MIB, reserveBytes: 16 * MIB, pages: 'never' });
  const { pid } = await broker.info();
  const other = await connect({ runtimeDir });
  onTestFinished(() => other.close());
  const theirs = await (await other.mapping('shrink')).lease('shared');
  await expect(mapping.resize(MIB, { waitMs: 20 })).rejects.toThrow(code('LEASE_TIMEOUT'));
  expect(theirs.bytes).toHaveLength(16 * MIB);
  theirs.release();
  await mapping.resize(MIB);
  expect(openMemoryOf(pid, mapping.info.id).allocatedBytes).toBe(MIB);
});
