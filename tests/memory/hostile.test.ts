// Resizes by those who get it wrong, may not, or mean harm: garbage, other people's leases, storms. The broker stays up, answers
// everybody else, and its charge is exact afterwards.
import { randomUUID } from 'node:crypto';
import { type Broker, connect, type Mapping, openRpcSession } from '@leasehold/client';
import { describe, expect, it, onTestFinished } from 'vitest';
import { leaseSession } from '../hostile/lease-sessions.ts';
import { rawRpc } from '../hostile/raw-client.ts';
import { startSpecialBroker } from '../hostile/special-broker.ts';
import { failureOf } from '../support/failure.ts';
import { allocatedBytesOf, openMemoryOf } from '../support/mapping-memory.ts';
import { isFilled } from '../support/pattern-bytes.ts';
import { startWorker } from '../support/processes.ts';
import { sharedBroker } from '../support/shared-broker.ts';

const MIB = 2 ** 20;
const SIZE_BYTES = 65_536;
const RESERVE_BYTES = 4 * MIB;
const PAGE_BYTES = 4096;
/** Nobody's, and not the broker's. */
const OTHER = { uid: 54_321, gid: 54_321 };

const { runtimeDir } = sharedBroker();

interface Scene {
  readonly broker: Broker;
  readonly mapping: Mapping;
  readonly name: string;
  /** What is charged, what is there, and what the broker has allocated: all of it must agree with this size. */
  expectSize(sizeBytes: number): Promise<void>;
}

async function scene(where = runtimeDir): Promise<Scene> {
  const broker = await connect({ runtimeDir: where, name: 'victim' });
  onTestFinished(() => broker.close());
  const name = `hostile/${randomUUID()}`;
  const options = { sizeBytes: SIZE_BYTES, reserveBytes: RESERVE_BYTES, pages: 'never' } as const;
  const mapping = await broker.createMapping(name, options);
  // Its places in the lock are charged, too.
  for (const mode of ['shared', 'exclusive'] as const) await mapping.prepare(mode);
  const { pid, memoryChargedBytes } = await broker.info();
  const besideBytes = memoryChargedBytes - SIZE_BYTES;
  const expectSize = async (sizeBytes: number): Promise<void> => {
    const mappedBytes = Math.ceil(sizeBytes / PAGE_BYTES) * PAGE_BYTES;
    expect((await broker.mapping(name)).info.memory).toMatchObject({ payloadBytes: sizeBytes, mappedBytes });
    expect(openMemoryOf(pid, mapping.info.id)).toEqual({ bytes: RESERVE_BYTES, allocatedBytes: mappedBytes });
    // Who was there with a place in its lock has left meanwhile.
    await expect
      .poll(async () => (await broker.info()).memoryChargedBytes - besideBytes, { timeout: 20_000 })
      .toBe(mappedBytes);
  };
  onTestFinished(async () => {
    await mapping.delete().catch(() => undefined);
  });
  return { broker, mapping, name, expectSize };
}

/** A client that keeps to the protocol alone. */
async function rawClient(where = runtimeDir) {
  const session = await openRpcSession({ runtimeDir: where, name: 'hostile' });
  const rpc = rawRpc(where, Buffer.from(session.token, 'base64url'));
  onTestFinished(async () => {
    rpc.close();
    await session.close();
  });
  return (request: Parameters<typeof rpc.mappings.resizeMapping>[0]) =>
    rpc.mappings.resizeMapping(request, rpc.options);
}

describe('a resize to', () => {
  const LOCAL = [0, -1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 2 ** 53, 2 ** 64];
  const ON_THE_WIRE = [0n, 2n ** 53n, 2n ** 63n - 1n, 2n ** 63n, 2n ** 64n - 1n, BigInt(RESERVE_BYTES) + 1n];

  it('what is no size is INVALID_SIZE, whoever says it', async () => {
    const { mapping, name, expectSize } = await scene();
    for (const sizeBytes of LOCAL) {
      for (const resize of [() => mapping.resize(sizeBytes), () => mapping.grow(sizeBytes)]) {
        expect(await failureOf(resize, `${sizeBytes} B`), `${sizeBytes} B`).toMatchObject({ code: 'INVALID_SIZE' });
      }
    }
    const resize = await rawClient();
    for (const sizeBytes of ON_THE_WIRE) {
      for (const onlyGrow of [false, true]) {
        const error = await failureOf(() => resize({ name, sizeBytes, onlyGrow }), `${sizeBytes} B`);
        expect(error, `${sizeBytes} B`).toMatchObject({ code: 'INVALID_SIZE', retryable: false });
      }
    }
    await expectSize(SIZE_BYTES);
  });

  it('any size is refused for what is no mapping, or another than is meant', async () => {
    const { broker, mapping, name, expectSize } = await scene();
    const resize = await rawClient();
    const sizeBytes = 100_000n;
    const channel = await broker.createChannel(`${name}/channel`, { slotBytes: 64, slots: 4, pages: 'never' });
    const cases = {
      MAPPING_NOT_FOUND: { name: 'nobody/has/this', sizeBytes },
      INVALID_STATE: { name: channel.name, sizeBytes },
      MAPPING_DELETED: { name, sizeBytes, mappingId: mapping.info.id + 1_000n },
    };
    for (const [code, request] of Object.entries(cases)) {
      expect(await failureOf(() => resize(request), code)).toMatchObject({ code });
    }
    for (const bad of ['', '../x', 'a\0b', 'x'.repeat(10_000)]) {
      const { code } = await failureOf(() => resize({ name: bad, sizeBytes }), JSON.stringify(bad.slice(0, 20)));
      expect(code).toBe('MAPPING_NOT_FOUND');
    }
    await broker.deleteChannel(channel.name);
    await expectSize(SIZE_BYTES);
  });

  it('less is refused to whoever has not the exclusive lease himself', async () => {
    const { name, expectSize } = await scene();
    const resize = await rawClient();
    const [owner, reader] = [await leaseSession(runtimeDir), await leaseSession(runtimeDir)];
    const held = await owner.acquire(name);
    const lower = { name, sizeBytes: 1n };
    const required = { code: 'LEASE_REQUIRED', metadata: { name } };
    // Somebody else's, known or guessed; the one that comes next; none.
    for (const holdId of [held.holdId, held.holdId + 1n, 0n, 1n, 2n ** 64n - 1n]) {
      expect(await failureOf(() => resize({ ...lower, holdId }), `${holdId}`)).toMatchObject(required);
    }
    await owner.leases.releaseLease({ mappingId: held.mappingId, holdId: held.holdId }, owner.options);
    const given = () => owner.mappings.resizeMapping({ ...lower, holdId: held.holdId }, owner.options);
    expect(await failureOf(given)).toMatchObject(required);
    const shared = await reader.acquire(name, { mode: 1 });
    const asReader = () => reader.mappings.resizeMapping({ ...lower, holdId: shared.holdId }, reader.options);
    expect(await failureOf(asReader)).toMatchObject(required);
    await reader.leases.releaseLease({ mappingId: shared.mappingId, holdId: shared.holdId }, reader.options);
    for (const session of [owner, reader]) await session.close();
    await expectSize(SIZE_BYTES);
  });

  it('less works for who leases by RPC alone', async () => {
    const { name, expectSize } = await scene();
    const owner = await leaseSession(runtimeDir);
    const { holdId, mappingId } = await owner.acquire(name);
    await owner.mappings.resizeMapping({ name, sizeBytes: 1n, holdId }, owner.options);
    await owner.leases.releaseLease({ mappingId, holdId }, owner.options);
    await owner.close();
    await expectSize(1);
  });
});

const isRoot = process.getuid?.() === 0;
if (!isRoot) console.warn('skipped: resizes by another user: only root can start processes of another user');

it.skipIf(!isRoot)('another user who may read may neither grow nor shrink (skipped without root)', async () => {
  const special = await startSpecialBroker({ mayDo: ['connect', 'info', 'list', 'read'] });
  const { name, expectSize } = await scene(special.runtimeDir);
  const reader = startWorker('memory-client', [special.runtimeDir], OTHER);
  await reader.ask({ do: 'lease', name, mode: 'shared' });
  for (const sizeBytes of [1, RESERVE_BYTES, SIZE_BYTES]) {
    expect(await reader.ask({ do: 'resize', name, sizeBytes })).toBe('PERMISSION_DENIED');
    expect(await reader.ask({ do: 'grow', name, sizeBytes })).toBe('PERMISSION_DENIED');
  }
  expect(await reader.ask({ do: 'look', name })).toEqual({ before: SIZE_BYTES, now: SIZE_BYTES, same: true });
  reader.kill('SIGKILL');
  await expectSize(SIZE_BYTES);
});

describe('a storm', () => {
  it('of 1,000 resizes at once is answered, each with a size or with a reason', async () => {
    const { broker, mapping, expectSize } = await scene();
    const asked = Array.from({ length: 1000 }, (_, i) => {
      const sizeBytes = 1 + ((i * 7919) % RESERVE_BYTES);
      return i % 3 === 0 ? mapping.grow(sizeBytes) : mapping.resize(sizeBytes, { waitMs: 60_000, timeoutMs: 60_000 });
    });
    const codes = new Set<string>();
    for (const result of await Promise.allSettled(asked)) {
      if (result.status === 'rejected') codes.add(result.reason.code);
      else expect(result.value.memory.payloadBytes).toBeLessThanOrEqual(RESERVE_BYTES);
    }
    expect([...codes]).toEqual([]);
    expect((await broker.info()).draining).toBe(false);
    await mapping.resize(12_345);
    await expectSize(12_345);
  });

  it('of cancelled resizes leaves the size of the last that was not', async () => {
    const { mapping, expectSize } = await scene();
    for (let round = 0; round < 50; round += 1) {
      const enough = new AbortController();
      const asked = Array.from({ length: 8 }, (_, i) =>
        mapping.resize(RESERVE_BYTES - i * PAGE_BYTES, { signal: enough.signal }).catch(({ code }) => code),
      );
      for (let turns = 0; turns < round; turns += 1) await new Promise(setImmediate);
      enough.abort();
      for (const outcome of await Promise.all(asked)) {
        if (typeof outcome === 'string') expect(outcome).toMatch(/^(ABORTED)$/);
      }
      await mapping.resize(SIZE_BYTES, { waitMs: 60_000 });
    }
    await expectSize(SIZE_BYTES);
  });

  it('while others attach, lease and leave: nobody sees a size that was never there', async () => {
    const { mapping, name, expectSize } = await scene();
    const sizes = [SIZE_BYTES, RESERVE_BYTES, 3 * PAGE_BYTES + 1];
    const resizer = startWorker('memory-client', [runtimeDir]);
    await resizer.ask({ do: 'resize-for-ever', name, sizes });
    for (let round = 0; round < 40; round += 1) {
      await using attachment = await (round % 2 === 0 ? mapping.attach('read') : mapping.attach('write'));
      expect(sizes).toContain(attachment.bytes.length);
      expect(sizes).toContain(attachment.sizeBytes);
      using lease = await mapping.lease('shared', { waitMs: 60_000 });
      // It cannot get smaller while this is held.
      const { length } = lease.bytes;
      expect(sizes).toContain(length);
      expect(isFilled(lease.bytes as Uint8Array, 0)).toBe(true);
      expect(lease.bytes.length).toBeGreaterThanOrEqual(length);
    }
    expect(await resizer.ask({ do: 'stop' })).toBeGreaterThan(10);
    resizer.kill('SIGKILL');
    await resizer.ended;
    await mapping.resize(SIZE_BYTES, { waitMs: 60_000 });
    await expectSize(SIZE_BYTES);
  });

  it('of clients that are killed while they resize leaves what the size says', async () => {
    const { broker, mapping, name, expectSize } = await scene();
    const sizes = [RESERVE_BYTES, 1, RESERVE_BYTES / 2, PAGE_BYTES];
    for (let round = 0; round < 4; round += 1) {
      const killed = startWorker('memory-client', [runtimeDir]);
      await killed.ask({ do: 'resize-for-ever', name, sizes });
      await expect.poll(async () => sizes.includes((await broker.mapping(name)).info.memory.payloadBytes)).toBe(true);
      killed.kill('SIGKILL');
      await killed.ended;
    }
    const { memory } = await mapping.resize(SIZE_BYTES, { waitMs: 60_000 });
    expect(memory.payloadBytes).toBe(SIZE_BYTES);
    await expectSize(SIZE_BYTES);
    expect(allocatedBytesOf((await broker.info()).pid)).toBeGreaterThanOrEqual(SIZE_BYTES);
  });
});
