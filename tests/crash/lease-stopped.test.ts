/**
 * Processes stopped with SIGSTOP while they hold a lease: nobody waiting, nothing is lost; somebody waiting, the lease is his after the
 * TTL, and whoever wakes up later is told, has no bytes any more, and harms nobody.
 */
import { type Broker, connect, type Mapping } from '@leasehold/client';
import { describe, expect, it, onTestFinished } from 'vitest';
import { startWorker, type Worker } from '../support/processes.ts';
import { sharedBroker } from '../support/shared-broker.ts';
import type { Promotion, PublisherQuestion, PublisherState } from '../workers/crash-publisher.ts';
import type { SubscriberQuestion, SubscriptionEnding } from '../workers/crash-subscriber.ts';
import type { ClientQuestion, LeaseState } from '../workers/lease-client.ts';

const TTL_MS = 300;
const MAPPING_BYTES = 4096;
const LOST: Partial<LeaseState> = { bytes: 0, reason: 'EXPIRED', timeLeftMs: 0 };

const { runtimeDir } = sharedBroker();

const ask = <T>(worker: Worker, question: ClientQuestion): Promise<T> => worker.ask<T>(question);

async function openMapping(name: string): Promise<{ broker: Broker; mapping: Mapping }> {
  const broker = await connect({ runtimeDir });
  onTestFinished(() => broker.close());
  return { broker, mapping: await broker.createMapping(name, { sizeBytes: MAPPING_BYTES, pages: 'never' }) };
}

const client = ({ name }: Mapping): Worker => startWorker('lease-client', [runtimeDir, name]);

/** Stops a process for longer than its lease lasts without it. */
async function stopBeyondTtl(worker: Worker, isOverdue: () => Promise<boolean>): Promise<void> {
  worker.kill('SIGSTOP');
  await expect.poll(isOverdue, { timeout: 60_000 }).toBe(true);
}

/** Whether somebody holds the lease although its time is over. */
const overdue =
  (broker: Broker, { name }: { readonly name: string }) =>
  async (): Promise<boolean> => {
    const [leases] = await broker.listLeases({ prefix: name });
    return leases?.holders.some((holder) => holder.overdue) ?? false;
  };

describe.each(['exclusive', 'shared'] as const)('a stopped process with %s access', (mode) => {
  it('loses nothing while nobody waits, however long it sleeps', async () => {
    const { broker, mapping } = await openMapping(`crash/lease-sleeper-${mode}`);
    const sleeper = client(mapping);
    await ask(sleeper, { take: mode, options: { ttlMs: TTL_MS } });
    for (let sleeps = 0; sleeps < 3; sleeps += 1) {
      await stopBeyondTtl(sleeper, overdue(broker, mapping));
      sleeper.kill('SIGCONT');
      expect(await ask(sleeper, 'state')).toMatchObject({ bytes: MAPPING_BYTES, reason: null });
      expect(await ask(sleeper, 'renew')).toBe(null);
    }
    expect(await ask(sleeper, 'release')).toBe(true);
  });

  it('has lost it to whoever waited, and cannot take it back, or release what is not its own', async () => {
    const { mapping } = await openMapping(`crash/lease-stopped-${mode}`);
    const sleeper = client(mapping);
    await ask(sleeper, { take: mode, options: { ttlMs: TTL_MS } });
    sleeper.kill('SIGSTOP');
    await using lease = await mapping.lease('exclusive', { waitMs: 60_000 });
    // A reader leaves nothing half done.
    expect(lease.previousOwnerDied).toBe(mode === 'exclusive');
    sleeper.kill('SIGCONT');
    expect(await ask(sleeper, 'lost')).toMatchObject(LOST);
    expect(await ask(sleeper, 'renew')).toBe('LEASE_LOST');
    expect(await ask(sleeper, 'release')).toBe(false);
    expect(await ask(sleeper, 'release')).toBe(false);
    expect(lease.lost.aborted).toBe(false);
    expect(lease.bytes.length).toBe(MAPPING_BYTES);
    lease.renew();
    expect(lease.release()).toBe(true);
    expect(await ask(sleeper, { take: mode, options: { ttlMs: TTL_MS } })).toMatchObject({
      previousOwnerDied: mode === 'exclusive',
    });
    expect(await ask(sleeper, 'release')).toBe(true);
  });

  it('finds that out by itself at its next step, before anybody tells it', async () => {
    const { mapping } = await openMapping(`crash/lease-next-step-${mode}`);
    const sleeper = client(mapping);
    await ask(sleeper, { take: mode, options: { ttlMs: TTL_MS } });
    sleeper.kill('SIGSTOP');
    // Asked while it sleeps: it is what the process does first, be it the answer or the ring.
    const step = ask(sleeper, mode === 'exclusive' ? { write: 0xff } : 'state');
    const lease = await mapping.lease('exclusive', { waitMs: 60_000 });
    lease.bytes.fill(1);
    sleeper.kill('SIGCONT');
    if (mode === 'exclusive') expect(await step).toBe(0);
    else expect(await step).toMatchObject(LOST);
    expect(lease.bytes.every((byte) => byte === 1)).toBe(true);
    expect(lease.release()).toBe(true);
  });
});

it('a lease renewed by hand is over at its deadline, with nobody waiting, and what it leaves is in doubt', async () => {
  const { broker, mapping } = await openMapping('crash/lease-manual');
  const sleeper = client(mapping);
  await ask(sleeper, { take: 'exclusive', options: { ttlMs: TTL_MS, renew: 'manual' } });
  await stopBeyondTtl(sleeper, overdue(broker, mapping));
  sleeper.kill('SIGCONT');
  expect(await ask(sleeper, 'lost')).toMatchObject(LOST);
  expect(await ask(sleeper, 'release')).toBe(false);
  await using lease = await mapping.lease('exclusive', { waitMs: 60_000 });
  expect(lease.previousOwnerDied).toBe(true);
});

describe('a stopped publisher', () => {
  const askPublisher = <T>(worker: Worker, question: PublisherQuestion): Promise<T> => worker.ask<T>(question);
  const askSubscriber = <T>(worker: Worker, question: SubscriberQuestion): Promise<T> => worker.ask<T>(question);
  const FRAMES = 10;

  it('is relieved by its standby after its TTL, and its late frame is shown to nobody', async () => {
    const broker = await connect({ runtimeDir });
    onTestFinished(() => broker.close());
    const name = 'crash/stopped-publisher';
    const format = { fourcc: 'RGBA', width: 16, height: 16 };
    await broker.createChannel(name, { format, slots: 8 });
    const subscriber = startWorker('crash-subscriber', [runtimeDir]);
    await askSubscriber(subscriber, { subscribe: { channel: name, options: { wait: 'park' } } });
    await askSubscriber(subscriber, 'follow');
    const [stopped, standby] = [0, 1].map(() => startWorker('crash-publisher', [runtimeDir])) as [Worker, Worker];
    await askPublisher(stopped, { queue: { channel: name, seed: 1 } });
    const first = await askPublisher<Promotion>(stopped, 'promotion');
    const before = await askPublisher<PublisherState>(stopped, { publish: FRAMES });
    await askPublisher(stopped, 'half');
    stopped.kill('SIGSTOP');
    await askPublisher(standby, { queue: { channel: name, seed: 2 } });
    const second = await askPublisher<Promotion>(standby, 'promotion');
    expect(second.previousOwnerDied).toBe(true);
    expect(second.fencingToken).toBeGreaterThan(first.fencingToken);
    await askPublisher(standby, { publish: FRAMES });
    stopped.kill('SIGCONT');
    expect(await askPublisher(stopped, 'publish-half')).toMatchObject({
      code: 'LEASE_LOST',
      published: before.published,
    });
    await askPublisher(standby, { publish: FRAMES });
    await askPublisher(standby, 'finish');
    const { report, code } = await askSubscriber<SubscriptionEnding>(subscriber, 'ending');
    expect({ ...report, code }).toMatchObject({
      torn: 0,
      faults: [],
      code: null,
      tokens: [first.fencingToken, second.fencingToken],
    });
    expect(report.taken + report.lost).toBe(3 * FRAMES);
  });

  it('whom nobody waits for publishes on when it wakes, with the lease that it had', async () => {
    const broker = await connect({ runtimeDir });
    onTestFinished(() => broker.close());
    const name = 'crash/sleeping-publisher';
    const channel = await broker.createChannel(name, { slotBytes: 4096, slots: 8 });
    const publisher = startWorker('crash-publisher', [runtimeDir]);
    await askPublisher(publisher, { queue: { channel: name, seed: 1 } });
    const { fencingToken } = await askPublisher<Promotion>(publisher, 'promotion');
    await stopBeyondTtl(publisher, overdue(broker, channel));
    publisher.kill('SIGCONT');
    const { published, code } = await askPublisher<PublisherState>(publisher, { publish: FRAMES });
    expect({ published, code }).toEqual({ published: FRAMES, code: null });
    expect((await channel.info()).fencingToken).toBe(fencingToken);
  });
});
