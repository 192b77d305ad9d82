/** Leases by RPC alone, over a real socket: sessions that map nothing. */
import { LeaseMode, ReleaseOutcome } from '@leasehold/proto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createChannel, createMapping, useTestBroker } from '../testing/fixture.ts';
import { eventually, type RpcClient, rpcClient } from '../testing/test-broker.ts';

const { running, restart, keep, client } = useTestBroker({ beforeEach, afterEach });

interface RpcSession extends RpcClient {
  /** Ends the session, as the death of its process does. */
  die(): void;
}

/** A session that lives as long as its stream. */
async function rpcSession(name = 'script'): Promise<RpcSession> {
  const { controlSocket } = running().runtimeDir;
  const opener = rpcClient(controlSocket);
  const stop = new AbortController();
  const stream = opener.sessions.openSession({ name }, { signal: stop.signal });
  const first = await stream[Symbol.asyncIterator]().next();
  const rpc = rpcClient(controlSocket, first.value?.token);
  const session = { ...rpc, die: () => stop.abort() };
  keep({
    close() {
      session.die();
      rpc.close();
      opener.close();
    },
  });
  return session;
}

async function mapping(name = 'm'): Promise<void> {
  await createMapping(await client('owner'), name);
}

async function acquire(
  from: RpcClient,
  more: { mode?: LeaseMode; waitMs?: bigint; ttlMs?: number; name?: string } = {},
) {
  const request = { name: 'm', mode: LeaseMode.EXCLUSIVE, waitMs: 60_000n, ...more };
  const { lease } = await from.leases.acquireLease(request, from.options);
  if (lease === undefined) throw new Error('no lease');
  return lease;
}

/** What names a lease. */
const ref = ({ mappingId, holdId }: { mappingId: bigint; holdId: bigint }) => ({ mappingId, holdId });

const waiters = async (from: RpcClient): Promise<number> => {
  const { mappings } = await from.leases.listLeases({ prefix: 'm' }, from.options);
  return mappings[0]?.waiters.length ?? 0;
};
async function untilWaiting(from: RpcClient, count: number): Promise<void> {
  while ((await waiters(from)) !== count);
}

describe('a lease by RPC', () => {
  it('is granted with a token of this epoch, a deadline and its holder, and given back', async () => {
    await mapping();
    const me = await rpcSession('reader');
    const lease = await acquire(me, { ttlMs: 2_000 });
    expect(lease).toMatchObject({ mappingName: 'm', mode: LeaseMode.EXCLUSIVE, previousOwnerDied: false });
    expect(lease.fencingToken >> 48n).toBe(7n);
    expect(lease.timeLeftMs).toBe(2_000);
    expect(lease.holder).toMatchObject({ pid: process.pid, name: 'reader' });
    expect(await me.leases.releaseLease(ref(lease), me.options)).toMatchObject({ outcome: ReleaseOutcome.RELEASED });
    expect((await acquire(me)).fencingToken).toBeGreaterThan(lease.fencingToken);
  });

  it('lasts no longer and no shorter than the broker allows', async () => {
    await restart({ limits: { leaseTtlMsMin: 1_000, leaseTtlMsMax: 3_000, leaseTtlMsDefault: 2_000 } });
    await mapping();
    const me = await rpcSession();
    for (const [asked, granted] of [
      [0, 2_000],
      [1, 1_000],
      [2 ** 32 - 1, 3_000],
    ] as const) {
      const lease = await acquire(me, { ttlMs: asked });
      expect(lease.timeLeftMs).toBe(granted);
      await me.leases.releaseLease(ref(lease), me.options);
    }
  });

  it('is shared by readers and refused to a writer who does not wait', async () => {
    await mapping();
    const [a, b, c] = [await rpcSession('a'), await rpcSession(), await rpcSession()];
    await acquire(a, { mode: LeaseMode.SHARED });
    await acquire(b, { mode: LeaseMode.SHARED });
    await expect(acquire(c, { waitMs: 0n })).rejects.toMatchObject({ code: 'LEASE_HELD' });
    await expect(acquire(c, { waitMs: 1n })).rejects.toMatchObject({
      code: 'LEASE_TIMEOUT',
      message: expect.stringContaining('shared by "a"'),
    });
  });

  it('goes to those who wait in the order in which they came, readers together', async () => {
    await mapping();
    const [a, b, c, d, e] = await Promise.all(Array.from('abcde', (name) => rpcSession(name)));
    if (!a || !b || !c || !d || !e) throw new Error('sessions');
    const first = await acquire(a);
    const writer = acquire(b);
    await untilWaiting(a, 1);
    const readers = [acquire(c, { mode: LeaseMode.SHARED })];
    await untilWaiting(a, 2);
    readers.push(acquire(d, { mode: LeaseMode.SHARED }));
    await untilWaiting(a, 3);
    const last = acquire(e);
    await untilWaiting(a, 4);
    await a.leases.releaseLease(ref(first), a.options);
    await b.leases.releaseLease(ref(await writer), b.options);
    const [one, two] = await Promise.all(readers);
    expect(await waiters(a)).toBe(1);
    if (one !== undefined) await c.leases.releaseLease(ref(one), c.options);
    if (two !== undefined) await d.leases.releaseLease(ref(two), d.options);
    expect((await last).mode).toBe(LeaseMode.EXCLUSIVE);
  });

  it('of a session that ends goes to the next at once, who is told, and so is everybody until somebody says that the data is good', async () => {
    await mapping();
    const [dying, heir, later] = [await rpcSession(), await rpcSession(), await rpcSession()];
    await acquire(dying);
    const inherited = acquire(heir);
    await untilWaiting(heir, 1);
    dying.die();
    const lease = await inherited;
    expect(lease.previousOwnerDied).toBe(true);
    await heir.leases.releaseLease(ref(lease), heir.options);
    const reading = await acquire(later, { mode: LeaseMode.SHARED });
    expect(reading.previousOwnerDied).toBe(true);
    await later.leases.releaseLease(ref(reading), later.options);
    const repairing = await acquire(later);
    expect(repairing.previousOwnerDied).toBe(true);
    await later.leases.releaseLease({ ...ref(repairing), markClean: true }, later.options);
    expect((await acquire(heir)).previousOwnerDied).toBe(false);
  });

  it('that is overdue is lost as soon as somebody waits, and its holder hears why', async () => {
    await restart({ limits: { leaseTtlMsMin: 1 } });
    await mapping();
    const [slow, next] = [await rpcSession(), await rpcSession()];
    const events = slow.sessions.watchSession({}, slow.options)[Symbol.asyncIterator]();
    const lease = await acquire(slow, { ttlMs: 1 });
    expect((await acquire(next)).previousOwnerDied).toBe(true);
    expect((await events.next()).value?.event).toMatchObject({
      case: 'leaseLost',
      value: { holdId: lease.holdId, reason: 'EXPIRED' },
    });
    const renewal = slow.leases.renewLease(ref(lease), slow.options);
    await expect(renewal).rejects.toMatchObject({ code: 'LEASE_LOST', metadata: { reason: 'EXPIRED' } });
    expect(await slow.leases.releaseLease(ref(lease), slow.options)).toMatchObject({ outcome: ReleaseOutcome.LOST });
  });

  it('that nobody wants is its holder’s past its deadline, and can be renewed', async () => {
    await restart({ limits: { leaseTtlMsMin: 1 } });
    await mapping();
    const me = await rpcSession();
    const lease = await acquire(me, { ttlMs: 1 });
    while ((await me.leases.getLease(ref(lease), me.options)).lease?.overdue !== true);
    const renewed = await me.leases.renewLease({ ...ref(lease), ttlMs: 5_000 }, me.options);
    expect(renewed.lease?.timeLeftMs).toBeGreaterThan(1_000);
  });

  it('is kept alive by a stream, which says when it is over', async () => {
    await mapping();
    const me = await rpcSession();
    const lease = await acquire(me, { ttlMs: 1_000 });
    const stream = me.leases.keepAlive(me.options);
    const replies = stream[Symbol.asyncIterator]();
    stream.send({ mappingId: lease.mappingId, holdId: lease.holdId, ttlMs: 9_000 });
    expect((await replies.next()).value?.timeLeftMs).toBeGreaterThan(8_000);
    await me.leases.revokeLease(ref(lease), me.options);
    stream.send({ mappingId: lease.mappingId, holdId: lease.holdId, ttlMs: 9_000 });
    expect((await replies.next()).value).toMatchObject({ lostReason: 'REVOKED', timeLeftMs: 0 });
    stream.end();
    expect((await replies.next()).done).toBe(true);
  });

  it('that is cancelled while waiting is never held, and its place in the queue is free', async () => {
    await mapping();
    const [holder, quitter] = [await rpcSession(), await rpcSession()];
    const lease = await acquire(holder);
    const stop = new AbortController();
    const request = { name: 'm', mode: LeaseMode.EXCLUSIVE, waitMs: 60_000n };
    const waiting = quitter.leases.acquireLease(request, { ...quitter.options, signal: stop.signal });
    const refused = expect(waiting).rejects.toMatchObject({ code: 'ABORTED' });
    await untilWaiting(holder, 1);
    stop.abort();
    await refused;
    await untilWaiting(holder, 0);
    await holder.leases.releaseLease(ref(lease), holder.options);
    expect((await acquire(holder, { waitMs: 0n })).holdId).not.toBe(lease.holdId);
  });

  it('is another’s to neither renew nor release', async () => {
    await mapping();
    const [owner, thief] = [await rpcSession(), await rpcSession()];
    const lease = await acquire(owner);
    for (const attempt of [
      thief.leases.renewLease(ref(lease), thief.options),
      thief.leases.releaseLease(ref(lease), thief.options),
      thief.leases.revokeLease({ ...ref(lease), holdId: lease.holdId + 1n }, thief.options),
    ]) {
      await expect(attempt).rejects.toMatchObject({ code: 'LEASE_NOT_FOUND' });
    }
    expect((await owner.leases.getLease(ref(lease), owner.options)).lease?.holdId).toBe(lease.holdId);
  });

  it('ends with the mapping, and whoever waits is told', async () => {
    await mapping();
    const [holder, waiter] = [await rpcSession(), await rpcSession()];
    await acquire(holder);
    const waiting = expect(acquire(waiter)).rejects.toMatchObject({ code: 'MAPPING_DELETED' });
    await untilWaiting(holder, 1);
    await holder.mappings.deleteMapping({ name: 'm' }, holder.options);
    await waiting;
  });

  it('is not to be had of a channel', async () => {
    await createChannel(await client(), 'm');
    const me = await rpcSession();
    await expect(acquire(me)).rejects.toMatchObject({ code: 'INVALID_STATE' });
  });

  it('keeps a mapping that nobody else keeps, and lets it go', async () => {
    const owner = await client('owner');
    await createMapping(owner, 'm');
    const me = await rpcSession();
    const lease = await acquire(me);
    owner.close();
    await eventually(() => running().broker.snapshot().sessions === 1);
    expect(running().broker.snapshot().mappings).toHaveLength(1);
    await me.leases.releaseLease(ref(lease), me.options);
    expect(running().broker.snapshot().mappings).toHaveLength(0);
  });
});
