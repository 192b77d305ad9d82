/**
 * Ten thousand cycles of all that a client does leave nothing behind, in the broker or in the client. A whole cycle with its
 * connection takes twice as long as one without, so 2,000 are whole and the others share a connection.
 */
import { expect, it } from 'vitest';
import { startSpecialBroker } from '../hostile/special-broker.ts';
import { startWorker } from '../support/processes.ts';
import type { Settled } from './settled-memory.ts';

const CHUNK_CYCLES = 1_000;
const WHOLE_CHUNKS = 2;
const CHUNKS_ON_ONE_CONNECTION = 8;

const MIB = 2 ** 20;
/** A ringer remembers the addresses of up to 4,096 doorbells, about 1 MiB; more than 400 B per cycle would be a leak. */
const HEAP_GROWTH_BYTES_MAX = 4 * MIB;
/** What allocators and compiled code may still take after the warm-up. A leaked page per cycle would be more. */
const NATIVE_GROWTH_BYTES_MAX = 32 * MIB;
/** Ranges of the runtime's heap. One leaked range per cycle would be 10,000. */
const MAPS_GROWTH_MAX = 1_000;

function expectLevel(who: string, before: Settled, after: Settled): void {
  const { fds, memfds, memfdMaps } = before;
  expect(after, who).toMatchObject({ fds, memfds, memfdMaps });
  expect([after.memfds, after.memfdMaps], `${who}: shared memory`).toEqual([0, 0]);
  expect(after.maps - before.maps, `${who}: mapped ranges`).toBeLessThan(MAPS_GROWTH_MAX);
  expect(after.heapBytes - before.heapBytes, `${who}: heap, B`).toBeLessThan(HEAP_GROWTH_BYTES_MAX);
  expect(after.nativeBytes - before.nativeBytes, `${who}: native, B`).toBeLessThan(NATIVE_GROWTH_BYTES_MAX);
}

it('2,000 cycles of connect, create, attach, publish, take, close, and 8,000 on one connection, leave nothing behind', async () => {
  const broker = await startSpecialBroker({});
  const client = startWorker('leak-client', [broker.runtimeDir]);
  /** Garbage is collected on both sides after every chunk, so that what stays resident is what is held. */
  const chunk = async (kind: 'whole' | 'on-one-connection') => ({
    client: await client.ask<Settled>({ kind, count: CHUNK_CYCLES }),
    broker: await broker.settledMemory(),
  });
  await chunk('whole');
  let last = await chunk('on-one-connection');
  const warm = last;
  for (let i = 0; i < WHOLE_CHUNKS; i += 1) last = await chunk('whole');
  for (let i = 0; i < CHUNKS_ON_ONE_CONNECTION; i += 1) last = await chunk('on-one-connection');
  expectLevel('the client', warm.client, last.client);
  expectLevel('the broker', warm.broker, last.broker);
}, 900_000);
