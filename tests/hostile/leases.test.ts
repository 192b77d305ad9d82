/** Requests for leases that make no sense, or are somebody else's: refused with their reason, and no lease is touched by them. */
import { type Broker, connect, type LeaseholdError, type Mapping } from '@leasehold/client';
import { Access, LeaseMode, ReleaseOutcome } from '@leasehold/proto';
import { describe, expect, it, onTestFinished } from 'vitest';
import { type BrokerProcess, startBroker } from '../support/broker-process.ts';
import { failureOf } from '../support/failure.ts';
import { leaseSession, locked } from './lease-sessions.ts';
import { RawAttach, rawRpc } from './raw-client.ts';

const U32_MAX = 2 ** 32 - 1;
const U64_MAX = 2n ** 64n - 1n;
const WAITERS = 2_000;

interface Stage {
  readonly process: BrokerProcess;
  readonly runtimeDir: string;
  readonly broker: Broker;
  readonly mapping: Mapping;
}

async function stage(options: object = {}): Promise<Stage> {
  const process = await startBroker();
  const { runtimeDir } = process;
  const broker = await connect({ runtimeDir, name: 'hostile-leases' });
  onTestFinished(() => broker.close());
  const mapping = await broker.createMapping('m', { sizeBytes: 4096, pages: 'never', persistent: true, ...options });
  return { process, runtimeDir, broker, mapping };
}

/** A session with an attachment, by hand. */
async function attached(runtimeDir: string, access: Access) {
  const attach = new RawAttach(runtimeDir);
  const rpc = rawRpc(runtimeDir, await attach.open());
  onTestFinished(() => {
    rpc.close();
    attach.close();
  });
  const { attachment } = await rpc.mappings.attachMapping({ name: 'm', access }, rpc.options);
  const { attachmentId = 0n, ticket, participantIndex = 0, participantGeneration = 0 } = attachment ?? {};
  const { fds } = await attach.ask({ case: 'claim', value: { ticket: ticket ?? new Uint8Array() } });
  for (const fd of fds) fd.close();
  const holdId = (serial: number, index = participantIndex, generation = participantGeneration): bigint =>
    (BigInt(index + 1) << 56n) | (BigInt(generation) << 32n) | BigInt(serial);
  const acquire = (request: object) =>
    rpc.leases.acquireLease({ name: 'm', mode: LeaseMode.EXCLUSIVE, attachmentId, ...request }, rpc.options);
  return { rpc, attachmentId, holdId, acquire, participantIndex, participantGeneration };
}

describe('a lease by RPC', () => {
  it('lasts within the broker’s bounds, whatever is asked for', async () => {
    const { runtimeDir } = await stage();
    const session = await leaseSession(runtimeDir);
    for (const [ttlMs, leastMs, mostMs] of [
      [0, 4_000, 5_000],
      [1, 0, 100],
      [U32_MAX, 59_000, 60_000],
    ] as const) {
      const { mappingId, holdId, timeLeftMs, deadlineNs } = await session.acquire('m', { ttlMs });
      expect(timeLeftMs, `ttl ${ttlMs}`).toBeGreaterThanOrEqual(leastMs);
      expect(timeLeftMs, `ttl ${ttlMs}`).toBeLessThanOrEqual(mostMs);
      const { lease } = await session.leases.renewLease({ mappingId, holdId, ttlMs }, session.options);
      expect(lease?.deadlineNs, `ttl ${ttlMs}`).toBeGreaterThan(deadlineNs);
      expect(lease?.timeLeftMs, `ttl ${ttlMs}`).toBeLessThanOrEqual(mostMs);
      expect(await session.leases.releaseLease({ mappingId, holdId }, session.options)).toMatchObject({
        outcome: ReleaseOutcome.RELEASED,
      });
    }
  });

  it('that is asked for in a way that makes no sense is refused, and nothing is held or waits', async () => {
    const { runtimeDir, broker } = await stage();
    await broker.createChannel('c', { slotBytes: 64, slots: 8, pages: 'never' });
    const session = await leaseSession(runtimeDir);
    const wrong: [string, object, string][] = [
      ['no mode', { mode: 0 }, 'INVALID_ARGUMENT'],
      ['a mode that does not exist', { mode: 77 }, 'INVALID_ARGUMENT'],
      ['no such mapping', { name: 'nowhere' }, 'MAPPING_NOT_FOUND'],
      ['a name that cannot be', { name: '../etc' }, 'MAPPING_NOT_FOUND'],
      ['a channel', { name: 'c' }, 'INVALID_STATE'],
      ['an attachment that does not exist', { attachmentId: U64_MAX, holdId: 1n }, 'ATTACHMENT_NOT_FOUND'],
    ];
    for (const [what, request, code] of wrong) {
      expect((await failureOf(() => session.acquire('m', request), what)).code, what).toBe(code);
    }
    expect(await broker.listLeases()).toEqual([]);
  });

  it('that is waited for without end ends with its call', async () => {
    const { runtimeDir, broker, mapping } = await stage();
    const session = await leaseSession(runtimeDir);
    const held = await mapping.lease('exclusive');
    for (const waitMs of [U64_MAX, 2n ** 53n, 2n ** 31n]) {
      const cancel = new AbortController();
      const failed = failureOf(() => session.acquire('m', { waitMs }, cancel.signal), `wait ${waitMs}`);
      await expect.poll(async () => (await locked(broker, 'm')).waiters.length, { timeout: 60_000 }).toBe(1);
      cancel.abort();
      expect((await failed).code, `wait ${waitMs}`).toBe('ABORTED');
      await expect.poll(async () => (await locked(broker, 'm')).waiters, { timeout: 60_000 }).toEqual([]);
    }
    expect(held.release()).toBe(true);
    expect((await session.acquire('m')).previousOwnerDied).toBe(false);
  });

  it('that was released is not released again, nor is what its session has taken since', async () => {
    const { runtimeDir, broker } = await stage();
    const session = await leaseSession(runtimeDir);
    const other = await leaseSession(runtimeDir);
    const first = await session.acquire('m');
    const release = ({ mappingId, holdId }: { mappingId: bigint; holdId: bigint }) =>
      session.leases.releaseLease({ mappingId, holdId }, session.options).then(({ outcome }) => outcome);
    expect(await release(first)).toBe(ReleaseOutcome.RELEASED);
    const second = await session.acquire('m');
    for (let again = 0; again < 3; again += 1) expect(await release(first)).toBe(ReleaseOutcome.LOST);
    // Its next request, and anybody's, finds the second one where it was.
    expect((await failureOf(() => session.acquire('m'))).code).toBe('LEASE_HELD');
    expect((await failureOf(() => other.acquire('m', { mode: LeaseMode.SHARED }))).code).toBe('LEASE_HELD');
    expect((await locked(broker, 'm')).holders).toEqual([second.holdId]);
    expect(await release(second)).toBe(ReleaseOutcome.RELEASED);
    expect((await other.acquire('m')).previousOwnerDied).toBe(false);
  });

  it('of another session is LEASE_NOT_FOUND to whoever would renew or release it, by whatever name', async () => {
    const { runtimeDir, broker, mapping } = await stage();
    const thief = await leaseSession(runtimeDir);
    const victim = await leaseSession(runtimeDir);
    const { mappingId, holdId: byRpc } = await victim.acquire('m', { mode: LeaseMode.SHARED, ttlMs: 60_000 });
    const inMemory = await mapping.lease('shared', { ttlMs: 60_000 });
    const { holders } = await locked(broker, 'm');
    expect(holders).toHaveLength(2);
    expect(holders).toContain(byRpc);
    for (const holdId of [...holders, 0n, 1n, 2n, U64_MAX, byRpc + 1n, byRpc - 1n]) {
      for (const id of [mappingId, 0n, U64_MAX]) {
        const name = { mappingId: id, holdId };
        const calls = [
          () => thief.leases.renewLease({ ...name, ttlMs: U32_MAX }, thief.options),
          () => thief.leases.releaseLease({ ...name, markClean: true }, thief.options),
        ];
        for (const call of calls) expect((await failureOf(call, `${id}/${holdId}`)).code).toBe('LEASE_NOT_FOUND');
      }
    }
    expect((await locked(broker, 'm')).holders).toEqual(holders);
    expect(inMemory.release()).toBe(true);
  });
});

describe('a lease for an attachment', () => {
  it('is refused under a hold id that is not a new one of that very participant', async () => {
    const { runtimeDir, broker } = await stage();
    const {
      acquire,
      holdId,
      participantIndex: index,
      participantGeneration,
    } = await attached(runtimeDir, Access.WRITE);
    const foreign = [0n, 1n, 2n, U64_MAX, holdId(0), holdId(1, index + 1), holdId(1, index, participantGeneration + 1)];
    for (const id of foreign) {
      expect((await failureOf(() => acquire({ holdId: id }), `${id}`)).code, `${id}`).toBe('INVALID_ARGUMENT');
    }
    expect((await acquire({ holdId: holdId(7) })).lease?.holdId).toBe(holdId(7));
    expect((await failureOf(() => acquire({ holdId: holdId(7) }))).code).toBe('INVALID_ARGUMENT');
    expect(await locked(broker, 'm')).toEqual({ holders: [holdId(7)], waiters: [] });
  });

  it('is refused to a reader that would write, and to whoever names another session’s attachment', async () => {
    const { runtimeDir, broker } = await stage();
    const reader = await attached(runtimeDir, Access.READ);
    const error = await failureOf(() => reader.acquire({ holdId: reader.holdId(1) }));
    expect(error).toMatchObject({ code: 'INVALID_ARGUMENT', metadata: { field: 'mode' } });
    const thief = await leaseSession(runtimeDir);
    const { attachmentId, holdId } = reader;
    const stolen = { mode: LeaseMode.SHARED, attachmentId, holdId: holdId(1) };
    expect((await failureOf(() => thief.acquire('m', stolen))).code).toBe('ATTACHMENT_NOT_FOUND');
    expect(await broker.listLeases()).toEqual([]);
  });

  it('is one at a time: a second request of a participant that waits, or holds, costs nobody anything', async () => {
    const { runtimeDir, broker, mapping } = await stage();
    const held = await mapping.lease('exclusive', { ttlMs: 60_000 });
    const { acquire, holdId } = await attached(runtimeDir, Access.WRITE);
    const waiting = acquire({ holdId: holdId(1), waitMs: 60_000n });
    await expect.poll(() => locked(broker, 'm'), { timeout: 60_000 }).toMatchObject({ waiters: [holdId(1)] });
    for (const id of [holdId(1), holdId(2)]) {
      const { code } = await failureOf(() => acquire({ holdId: id, waitMs: 60_000n }), `${id}`);
      expect(['INVALID_STATE', 'INVALID_ARGUMENT']).toContain(code);
    }
    expect(held.release()).toBe(true);
    expect((await waiting).lease?.holdId).toBe(holdId(1));
    expect((await locked(broker, 'm')).waiters).toEqual([]);
  });
});

describe('a crowd that wants one lease', () => {
  it(`of ${WAITERS} by RPC is bounded by the mapping’s participants, and told so`, async () => {
    const { runtimeDir, broker, mapping, process } = await stage({ maxParticipants: 32 });
    const before = process.fdCount();
    const held = await mapping.lease('exclusive', { ttlMs: 60_000 });
    const sessions = await Promise.all(Array.from({ length: 4 }, () => leaseSession(runtimeDir, 'crowd')));
    const cancel = new AbortController();
    const outcomes = Array.from({ length: WAITERS }, (_, i) =>
      failureOf(() => (sessions[i % 4] ?? sessions[0])?.acquire('m', { waitMs: 600_000n }, cancel.signal)),
    );
    const crowded = (error: LeaseholdError): boolean => error.code === 'PARTICIPANTS_EXHAUSTED';
    const refused: LeaseholdError[] = [];
    for (const outcome of outcomes) void outcome.then((error) => crowded(error) && refused.push(error));
    await expect.poll(() => refused.length, { timeout: 100_000 }).toBeGreaterThanOrEqual(WAITERS - 31);
    expect(refused[0]).toMatchObject({ metadata: { maxParticipants: '32' } });
    // Whoever got a place waits as soon as its page is made.
    const waiting = async (): Promise<number> => (await locked(broker, 'm')).waiters.length;
    await expect.poll(waiting, { timeout: 60_000 }).toBe(WAITERS - refused.length);
    cancel.abort();
    for (const error of await Promise.all(outcomes))
      expect(['PARTICIPANTS_EXHAUSTED', 'ABORTED']).toContain(error.code);
    await expect.poll(() => locked(broker, 'm').then(({ waiters }) => waiters), { timeout: 60_000 }).toEqual([]);
    expect(held.release()).toBe(true);
    const next = await mapping.lease('exclusive', { waitMs: 60_000 });
    expect(next.previousOwnerDied).toBe(false);
    expect(next.release()).toBe(true);
    await Promise.all(sessions.map(({ close }) => close()));
    await expect.poll(() => broker.listLeases(), { timeout: 60_000 }).toEqual([]);
    // One place in the mapping, this process's own.
    await expect.poll(() => process.fdCount() - before, { timeout: 60_000 }).toBeLessThanOrEqual(4);
  });
});
