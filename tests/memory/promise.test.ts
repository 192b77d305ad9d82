// "Promise, then keep": while a broker populates gigabytes it answers others, says how far it is, and lets itself be stopped; what it
// cannot have it says at once; what it has granted is there.
import { HealthServices, probeHealth } from '@leasehold/broker';
import { type Broker, connect, findBroker, type LeaseholdError, type PopulateProgress } from '@leasehold/client';
import { describe, expect, it, onTestFinished } from 'vitest';
import { heldBy } from '../hostile/figures.ts';
import { type BrokerProcess, startBroker } from '../support/broker-process.ts';
import { startConfinedBroker } from '../support/confined-broker.ts';
import { needControlGroup, whyNoControlGroup } from '../support/control-group.ts';
import { failureOf } from '../support/failure.ts';
import { allocatedBytesOf, availableBytes, openMemoryOf } from '../support/mapping-memory.ts';
import { startWorker } from '../support/processes.ts';

const MIB = 2 ** 20;
const GIB = 2 ** 30;
/** What one step populates. */
const STEP_BYTES = 64 * MIB;
const LARGEST_BYTES = 4 * GIB;
const name = 'promised';
const soon = { timeout: 30_000, interval: 2 };

async function connected(runtimeDir: string): Promise<Broker> {
  const broker = await connect({ runtimeDir, name: 'promise' });
  onTestFinished(() => broker.close());
  return broker;
}

async function started(args: readonly string[] = []): Promise<{ server: BrokerProcess; broker: Broker }> {
  const server = await startBroker(args);
  return { server, broker: await connected(server.runtimeDir) };
}

const wholeSteps = (bytes: number): number => Math.floor(bytes / STEP_BYTES) * STEP_BYTES;
const manyBytes = (): number => Math.min(LARGEST_BYTES, wholeSteps(availableBytes() * 0.4));

/** What a request fails with that must take nothing. Where it takes memory all the same, it is stopped before the machine suffers. */
async function refusalOf(
  server: BrokerProcess,
  act: (signal: AbortSignal) => Promise<unknown>,
): Promise<LeaseholdError> {
  const enough = new AbortController();
  const before = allocatedBytesOf(server.pid);
  const guard = setInterval(() => {
    if (allocatedBytesOf(server.pid) > before + GIB) enough.abort();
  }, 20);
  try {
    return await failureOf(() => act(enough.signal));
  } finally {
    clearInterval(guard);
  }
}

describe('while it populates gigabytes, a broker', () => {
  it('answers calls and health checks all the time, and says how far it is until all is there', async () => {
    const { server, broker } = await started();
    const other = await connected(server.runtimeDir);
    const { controlSocket } = findBroker({ runtimeDir: server.runtimeDir, env: {}, uid: process.getuid?.() ?? 0 });
    const sizeBytes = manyBytes();
    const progress: PopulateProgress[] = [];
    /** How far it was when each answer came. */
    const answeredAt: number[] = [];
    let over = false;
    const creating = broker
      .createMapping(name, { sizeBytes, pages: 'never', onProgress: (now) => progress.push(now) })
      .finally(() => {
        over = true;
      });
    while (!over) {
      const answers = [
        other.info(),
        probeHealth({ controlSocket, service: HealthServices.liveness, timeoutMs: 60_000 }),
      ];
      expect(await Promise.all(answers)).toEqual([expect.objectContaining({ pid: server.pid }), true]);
      answeredAt.push(progress.at(-1)?.populatedBytes ?? 0);
    }
    const mapping = await creating;
    expect(mapping.info.memory.mappedBytes).toBe(sizeBytes);
    expect(progress.at(-1)).toEqual({ populatedBytes: sizeBytes, totalBytes: sizeBytes });
    for (const [i, { populatedBytes, totalBytes }] of progress.entries()) {
      expect(totalBytes).toBe(sizeBytes);
      expect(populatedBytes).toBeGreaterThan(progress[i - 1]?.populatedBytes ?? 0);
    }
    const meanwhile = answeredAt.filter((populatedBytes) => populatedBytes > 0 && populatedBytes < sizeBytes);
    // Not all behind one long step: answers came at many different points of it.
    expect(new Set(meanwhile).size).toBeGreaterThanOrEqual(sizeBytes / STEP_BYTES / 4);
    expect(openMemoryOf(server.pid, mapping.info.id).allocatedBytes).toBe(sizeBytes);
  });

  /** What must be as it was when a creation comes to nothing. */
  const state = async (server: BrokerProcess, broker: Broker) => {
    // The first call makes the connection for all.
    const { memoryChargedBytes } = await broker.info();
    const mappings = (await broker.listMappings()).length;
    return { memoryChargedBytes, mappings, held: heldBy(server.pid), allocatedBytes: allocatedBytesOf(server.pid) };
  };

  it.each([
    { how: 'by itself', told: false },
    { how: 'being told the progress', told: true },
  ])('gives all of it back when its creator, $how, cancels', async ({ told }) => {
    const { server, broker } = await started();
    await broker.createMapping('first', { sizeBytes: 1, pages: 'never' });
    const before = await state(server, broker);
    const enough = new AbortController();
    const options = { sizeBytes: manyBytes(), pages: 'never', signal: enough.signal } as const;
    const progress: number[] = [];
    const onProgress = ({ populatedBytes }: PopulateProgress): void => void progress.push(populatedBytes);
    const cancelled = failureOf(() => broker.createMapping(name, { ...options, ...(told && { onProgress }) }));
    await expect.poll(() => allocatedBytesOf(server.pid), soon).toBeGreaterThan(before.allocatedBytes);
    if (told) await expect.poll(() => progress.length, soon).toBeGreaterThan(0);
    expect((await broker.info()).memoryChargedBytes - before.memoryChargedBytes).toBeGreaterThanOrEqual(
      options.sizeBytes,
    );
    enough.abort();
    expect(await cancelled).toMatchObject({ code: 'ABORTED' });
    let mostBytes = 0;
    const now = async () => {
      mostBytes = Math.max(mostBytes, allocatedBytesOf(server.pid));
      return state(server, broker);
    };
    await expect.poll(now, soon).toEqual(before);
    // It did not populate all of it first.
    expect(mostBytes).toBeLessThan(options.sizeBytes * 0.75);
    expect((await broker.createMapping(name, { sizeBytes: MIB, pages: 'never' })).created).toBe(true);
  });

  it('gives all of it back when its creator is killed', async () => {
    const { server, broker } = await started();
    const before = await state(server, broker);
    const creator = startWorker('memory-client', [server.runtimeDir]);
    const options = { sizeBytes: manyBytes(), pages: 'never' };
    creator.ask({ do: 'create-slowly', name, options }).catch(() => undefined);
    await expect.poll(() => allocatedBytesOf(server.pid), soon).toBeGreaterThan(0);
    creator.kill('SIGKILL');
    await expect.poll(() => state(server, broker), soon).toEqual(before);
  });

  it('refuses at once what it cannot have besides', async () => {
    const { server, broker } = await started(['--memory-quota', '4096TiB']);
    const enough = new AbortController();
    const sizeBytes = wholeSteps(availableBytes() * 0.6);
    const progress: number[] = [];
    const onProgress = ({ populatedBytes }: PopulateProgress): void => void progress.push(populatedBytes);
    const first = failureOf(() =>
      broker.createMapping(name, { sizeBytes, pages: 'never', onProgress, signal: enough.signal }),
    );
    await expect.poll(() => allocatedBytesOf(server.pid), soon).toBeGreaterThan(0);
    // The machine still counts most of what the first was promised as free.
    const admitted = new AbortController();
    const { signal } = admitted;
    const second = await failureOf(() =>
      broker.createMapping('second', { sizeBytes, pages: 'never', signal, onProgress: () => admitted.abort() }),
    );
    expect(second).toMatchObject({ code: 'OUT_OF_MEMORY', metadata: { requestedBytes: `${sizeBytes}` } });
    expect(progress.at(-1) ?? 0).toBeLessThan(sizeBytes);
    enough.abort();
    expect(await first).toMatchObject({ code: 'ABORTED' });
    await expect.poll(async () => (await broker.info()).memoryChargedBytes, soon).toBe(0);
  });
});

it('more than the machine has is OUT_OF_MEMORY before any of it is taken', async () => {
  const { server, broker } = await started(['--memory-quota', '4096TiB']);
  const sizeBytes = wholeSteps(availableBytes() * 1.5);
  const progress: unknown[] = [];
  const options = { sizeBytes, pages: 'never', onProgress: (now: unknown) => void progress.push(now) } as const;
  const created = await refusalOf(server, (signal) => broker.createMapping(name, { ...options, signal }));
  expect(created).toMatchObject({ code: 'OUT_OF_MEMORY', metadata: { requestedBytes: `${sizeBytes}` } });
  expect(progress).toEqual([]);
  expect(allocatedBytesOf(server.pid)).toBe(0);
  // Nor can it be grown to.
  const mapping = await broker.createMapping(name, { sizeBytes: 1, reserveBytes: sizeBytes, pages: 'never' });
  const grown = await refusalOf(server, (signal) => mapping.resize(sizeBytes, { signal }));
  expect(grown).toMatchObject({ code: 'OUT_OF_MEMORY' });
  expect((await broker.mapping(name)).info.memory.payloadBytes).toBe(1);
});

const skippedGroup = whyNoControlGroup();
if (skippedGroup !== '') console.warn(`skipped: a control group's limit: ${skippedGroup}`);

describe.skipIf(skippedGroup !== '')(`in a control group${skippedGroup && ` (skipped: ${skippedGroup})`}`, () => {
  const LIMIT_BYTES = 512 * MIB;

  it('more than its limit is an error, and the broker lives and grants what there is', async () => {
    const { procs } = needControlGroup(LIMIT_BYTES);
    const server = await startConfinedBroker({ before: `echo $$ > ${procs}` });
    const broker = await connected(server.runtimeDir);
    for (const sizeBytes of [LIMIT_BYTES + MIB, LIMIT_BYTES, 4 * LIMIT_BYTES]) {
      const error = await failureOf(() => broker.createMapping(name, { sizeBytes, pages: 'never' }), `${sizeBytes} B`);
      expect(error, `${sizeBytes} B`).toMatchObject({ code: 'OUT_OF_MEMORY' });
    }
    const options = { sizeBytes: 64 * MIB, reserveBytes: 4 * LIMIT_BYTES, pages: 'never' } as const;
    const mapping = await broker.createMapping(name, options);
    expect(await failureOf(() => mapping.resize(LIMIT_BYTES))).toMatchObject({ code: 'OUT_OF_MEMORY' });
    await using attachment = await mapping.attach('write');
    attachment.bytes.fill(1);
    expect(attachment.bytes).toHaveLength(64 * MIB);
    expect((await broker.info()).pid).toBe(server.pid);
  });
});
