/** How leases end other than by being given back, on a real broker. */
import * as grpc from '@grpc/grpc-js';
import { monotonicNs, openRpcSession } from '@leasehold/client';
import { createServiceClient, LeaseMode, LeaseService } from '@leasehold/proto';
import { describe, expect, it } from 'vitest';
import { startBroker } from '../support/broker-process.ts';
import { codeOf, connected, leasePair, leasesOf, lossOf, SIZE_BYTES, WAIT_MS, waiting } from '../support/lease-pair.ts';
import { startWorker } from '../support/processes.ts';
import { sharedBroker } from '../support/shared-broker.ts';
import type { Promotion, PublisherQuestion } from '../workers/crash-publisher.ts';

const { runtimeDir } = sharedBroker();
const pair = (name: string, where = runtimeDir) => leasePair(where, name);

describe('a lease that is taken away', () => {
  it('by an administrator is lost at once', async () => {
    const { broker, mine, other } = await pair('leases/revoked');
    const lease = await other.lease('exclusive');
    const { bytes } = lease;
    const lost = lossOf(lease);
    const { mappingId, holders } = await leasesOf(broker, mine.name);
    await broker.revokeLease({ mappingId, holdId: holders[0]?.holdId ?? 0n });
    expect(await lost).toMatchObject({ code: 'LEASE_LOST', metadata: { reason: 'REVOKED', mapping: mine.name } });
    expect([bytes.length, lease.release()]).toEqual([0, false]);
    await expect(broker.revokeLease({ mappingId, holdId: 1n })).rejects.toMatchObject({ code: 'LEASE_NOT_FOUND' });
  });

  it('because its time was over leaves the data in doubt, until a writer has declared it good', async () => {
    const { broker, mine, other } = await pair('leases/expired');
    const hung = await other.lease('exclusive', { ttlMs: 100 });
    hung.orphan();
    {
      using next = await mine.lease('exclusive', { waitMs: WAIT_MS });
      expect(next.previousOwnerDied).toBe(true);
      expect(await lossOf(hung)).toMatchObject({ metadata: { reason: 'EXPIRED' } });
      expect((await broker.mapping(mine.name)).info.dirty).toBe(true);
    }
    {
      using reader = await other.lease('shared');
      expect(reader.previousOwnerDied).toBe(true);
    }
    {
      using mender = await other.lease('exclusive');
      expect(mender.previousOwnerDied).toBe(true);
      mender.markClean();
    }
    using after = await mine.lease('shared');
    expect(after.previousOwnerDied).toBe(false);
    expect((await broker.mapping(mine.name)).info.dirty).toBe(false);
    expect(await broker.markClean(mine.name)).toBe(false);
  });

  it('by nobody, though its time was over, can still be renewed', async () => {
    const { mine } = await pair('leases/late');
    using lease = await mine.lease('exclusive', { ttlMs: 100, renew: 'manual' });
    // A breakpoint: no timer of this process fires.
    const deadline = monotonicNs() + 150e6;
    while (monotonicNs() < deadline);
    lease.renew();
    expect(lease.bytes.length).toBe(SIZE_BYTES);
  });

  it('because the mapping was deleted says so, and its memory is given back', async () => {
    const { broker, mine, other } = await pair('leases/deleted');
    const lease = await other.lease('shared');
    const [lost, refused] = [lossOf(lease), mine.lease('exclusive', { waitMs: WAIT_MS }).catch(codeOf)];
    await waiting(broker, mine.name, 1);
    const before = (await broker.info()).memoryChargedBytes;
    await mine.delete();
    expect(await lost).toMatchObject({ metadata: { reason: 'MAPPING_DELETED' } });
    expect(await refused).toBe('MAPPING_DELETED');
    await expect.poll(async () => (await broker.info()).memoryChargedBytes).toBeLessThan(before);
    await expect(other.lease('shared')).rejects.toMatchObject({ code: expect.stringMatching(/^MAPPING_/) });
  });
});

describe('a downgrade', () => {
  it('lets readers in and no writer, though one was first', async () => {
    const { broker, mine, other } = await pair('leases/downgrade');
    const writer = await mine.lease('exclusive');
    writer.bytes[0] = 5;
    const writing = other.lease('exclusive', { waitMs: WAIT_MS });
    await waiting(broker, mine.name, 1);
    const reader = writer.downgrade();
    const { holders } = await leasesOf(broker, mine.name);
    expect(holders.map(({ mode }) => mode)).toEqual(['shared']);
    expect([reader.bytes[0], writer.bytes.length]).toEqual([5, 0]);
    reader.release();
    (await writing).release();
  });
});

describe('when the broker is killed', () => {
  it('holders keep what they hold until their deadline, and whoever waits is told BROKER_LOST', async () => {
    const process = await startBroker();
    const { broker, mine, other } = await pair('leases/lost-broker', process.runtimeDir);
    await Promise.all([mine.prepare('exclusive'), other.prepare('exclusive')]);
    await Promise.all([mine.prepare('exclusive'), other.prepare('exclusive')]);
    const held = await mine.lease('exclusive', { ttlMs: 1_000 });
    const asking = other.lease('exclusive', { waitMs: WAIT_MS }).catch(codeOf);
    await waiting(broker, mine.name, 1);
    const gone = new Promise((resolve) => broker.lost.addEventListener('abort', resolve, { once: true }));
    process.child.kill('SIGKILL');
    await gone;
    held.bytes[0] = 3;
    expect(await asking).toBe('BROKER_LOST');
    expect(await lossOf(held)).toMatchObject({ code: 'LEASE_LOST', metadata: { reason: 'BROKER_LOST' } });
    expect(held.bytes.length).toBe(0);
  });

  it('uncontended leases can still be taken, and contended ones fail with BROKER_LOST', async () => {
    const process = await startBroker();
    const { broker, mine, other } = await pair('leases/no-broker', process.runtimeDir);
    await Promise.all([mine.prepare('exclusive'), other.prepare('shared')]);
    await mine.prepare('exclusive');
    const gone = new Promise((resolve) => broker.lost.addEventListener('abort', resolve, { once: true }));
    process.child.kill('SIGKILL');
    await gone;
    {
      using writer = await mine.lease('exclusive');
      writer.bytes[0] = 8;
      const refused = other.lease('shared');
      await expect(refused).rejects.toMatchObject({ code: 'BROKER_LOST', retryable: true });
    }
    using reader = await other.lease('shared');
    expect([reader.bytes[0], reader.previousOwnerDied]).toEqual([8, false]);
  });
});

describe('a lease by RPC alone', () => {
  it('is one with those in memory, and ends with its session', async () => {
    const { broker, mine } = await pair('leases/rpc');
    const session = await openRpcSession({ runtimeDir, name: 'script' });
    const client = new grpc.Client(`unix:${runtimeDir}/control.sock`, grpc.credentials.createInsecure());
    const metadata = new grpc.Metadata();
    metadata.set('authorization', `Bearer ${session.token}`);
    const leases = createServiceClient(LeaseService, client);
    const request = { name: mine.name, mode: LeaseMode.EXCLUSIVE, waitMs: 0n };
    const { lease } = await leases.acquireLease(request, { metadata });
    expect(lease?.fencingToken).toBeGreaterThan(0n);
    await mine.prepare('exclusive');
    expect(mine.tryLease('exclusive')).toBeNull();
    const { holders } = await leasesOf(broker, mine.name);
    expect(holders).toMatchObject([{ holder: { name: 'script', sessionId: session.sessionId } }]);
    const next = mine.lease('exclusive', { waitMs: WAIT_MS });
    await session.close();
    client.close();
    using got = await next;
    expect(got.fencingToken).toBeGreaterThan(lease?.fencingToken ?? 0n);
    expect(session.lost.aborted).toBe(false);
  });

  it('is lost with its broker', async () => {
    const process = await startBroker();
    await using session = await openRpcSession({ runtimeDir: process.runtimeDir });
    const lost = new Promise((resolve) => session.lost.addEventListener('abort', resolve, { once: true }));
    process.child.kill('SIGKILL');
    await lost;
    expect(session.lost.reason).toMatchObject({ code: 'BROKER_LOST' });
  });
});

describe("the publisher's lease", () => {
  it('is in the list of leases, keeps itself, and is taken from a publisher that hangs while a standby waits', async () => {
    const broker = await connected(runtimeDir);
    const channel = await broker.createChannel('leases/publisher', { slotBytes: SIZE_BYTES });
    const hung = startWorker('crash-publisher', [runtimeDir]);
    const ask = <T>(question: PublisherQuestion): Promise<T> => hung.ask<T>(question);
    await ask({ queue: { channel: channel.name, seed: 1 } });
    const { fencingToken } = await ask<Promotion>('promotion');
    const { channel: isChannel, holders } = await leasesOf(broker, channel.name);
    expect([isChannel, holders[0]?.holder?.pid, holders[0]?.fencingToken]).toEqual([true, hung.pid, fencingToken]);
    hung.kill('SIGSTOP');
    await using publisher = await channel.openPublisher({ ttlMs: 500, timeoutMs: WAIT_MS });
    expect(publisher.previousOwnerDied).toBe(true);
    expect(publisher.fencingToken).toBeGreaterThan(fencingToken);
    hung.kill('SIGCONT');
    await expect(ask({ publish: 1 })).rejects.toThrow('LEASE_LOST');
    // Several times its TTL, without a turn of the event loop: publishing renews.
    const standby = (await connected(runtimeDir)).channel(channel.name).then((same) => same.openPublisher());
    standby.catch(() => undefined);
    await expect.poll(async () => (await channel.info()).standbys).toBe(1);
    const untilNs = monotonicNs() + 1_500e6;
    while (monotonicNs() < untilNs) publisher.tryLoan()?.publish();
    expect((await channel.info()).fencingToken).toBe(publisher.fencingToken);
    expect(publisher.lost.aborted).toBe(false);
    await publisher.close();
    await using next = await standby;
    expect(next.previousOwnerDied).toBe(false);
  });
});
