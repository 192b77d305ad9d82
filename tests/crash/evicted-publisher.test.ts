/** A publisher that is stopped, loses its session, and wakes up after a standby took over: nothing it does is shown to anybody. */
import * as grpc from '@grpc/grpc-js';
import { type Channel, connect } from '@leasehold/client';
import { createServiceClient, SessionService } from '@leasehold/proto';
import { describe, expect, it, onTestFinished } from 'vitest';
import { newSeed, seededRandom, writeChecked } from '../support/checked-frames.ts';
import { startWorker, type Worker } from '../support/processes.ts';
import { sharedBroker } from '../support/shared-broker.ts';
import type { Promotion, PublisherQuestion, PublisherState } from '../workers/crash-publisher.ts';
import type { SubscriberQuestion, SubscriptionEnding } from '../workers/crash-subscriber.ts';

const EVICTIONS = 10;
const STOP_AFTER_MS_MAX = 20;
const FRAMES = 500;
const SLOTS = 8;

const { runtimeDir } = sharedBroker();

const ask = <T>(worker: Worker, question: PublisherQuestion | SubscriberQuestion): Promise<T> =>
  worker.ask<T>(question);

/** Ends another session, as an administrator does. */
async function evict(sessionId: bigint): Promise<void> {
  const client = new grpc.Client(`unix:${runtimeDir}/control.sock`, grpc.credentials.createInsecure());
  const service = createServiceClient(SessionService, client);
  const ended = new AbortController();
  try {
    const session = await service.openSession({ name: 'evict' }, { signal: ended.signal }).next();
    if (session.done === true) throw new Error('the broker opened no session');
    const metadata = new grpc.Metadata();
    metadata.set('authorization', `Bearer ${Buffer.from(session.value.token).toString('base64url')}`);
    await service.evictSession({ sessionId }, { metadata });
  } finally {
    ended.abort();
    client.close();
  }
}

async function openChannel(name: string): Promise<{ channel: Channel; subscriber: Worker }> {
  const broker = await connect({ runtimeDir });
  onTestFinished(() => broker.close());
  const format = { fourcc: 'RGBA', width: 16, height: 16 };
  const channel = await broker.createChannel(name, { format, slots: SLOTS });
  const subscriber = startWorker('crash-subscriber', [runtimeDir]);
  await ask(subscriber, { subscribe: { channel: name, options: { wait: 'park' } } });
  await ask(subscriber, 'follow');
  return { channel, subscriber };
}

async function promoted(channel: Channel, seed: number): Promise<{ worker: Worker; promotion: Promotion }> {
  const worker = startWorker('crash-publisher', [runtimeDir]);
  await ask(worker, { queue: { channel: channel.name, seed } });
  return { worker, promotion: await ask<Promotion>(worker, 'promotion') };
}

/** Stops the publisher, ends its session, publishes FRAMES in its stead, and lets it go on. */
async function replace(channel: Channel, stopped: Worker): Promise<{ token: bigint; last: bigint }> {
  stopped.kill('SIGSTOP');
  const { publisher } = await channel.info();
  await evict(publisher?.sessionId ?? 0n);
  await using standby = await channel.openPublisher();
  const { fencingToken } = standby;
  let last = 0n;
  for (let number = 0; number < FRAMES; number += 1) {
    using loan = await standby.loan();
    loan.publish({ payloadBytes: writeChecked(loan.bytes, loan.bytes.length, { number, fencingToken }) });
    last = loan.sequence ?? 0n;
    // Half of them while it runs again.
    if (number === FRAMES / 2) stopped.kill('SIGCONT');
    if (number % 16 === 0) await new Promise(setImmediate);
  }
  expect(standby.previousOwnerDied).toBe(true);
  return { token: fencingToken, last };
}

describe('a publisher that was stopped and evicted', () => {
  it('publishes its late frame to nobody and is told LEASE_LOST', async () => {
    const { channel, subscriber } = await openChannel('crash/evicted');
    const { worker, promotion } = await promoted(channel, 1);
    const before = await ask<PublisherState>(worker, { publish: 10 });
    await ask(worker, 'half');
    const { token } = await replace(channel, worker);
    expect(token).toBeGreaterThan(promotion.fencingToken);
    expect(await ask(worker, 'publish-half')).toMatchObject({ code: 'LEASE_LOST', published: before.published });

    await using last = await channel.openPublisher();
    await last.finish();
    const { report, code } = await ask<SubscriptionEnding>(subscriber, 'ending');
    expect({ ...report, code }).toMatchObject({
      torn: 0,
      faults: [],
      code: null,
      tokens: [promotion.fencingToken, token],
    });
    expect(report.taken + report.lost).toBe(before.published + FRAMES);
  });

  it(`shows no frame after its successor's first, wherever it was stopped (${EVICTIONS} times)`, async () => {
    const seed = newSeed();
    const random = seededRandom(seed);
    const { channel, subscriber } = await openChannel('crash/evicted-often');
    let published = 0;
    for (let evictions = 0; evictions < EVICTIONS; evictions += 1) {
      const { worker } = await promoted(channel, seed + evictions);
      await ask(worker, 'churn');
      await new Promise((resolve) => setTimeout(resolve, random() * STOP_AFTER_MS_MAX));
      await replace(channel, worker);
      const zombie = await ask<PublisherState>(worker, 'until-failure');
      expect(zombie, `seed ${seed}`).toMatchObject({ code: 'LEASE_LOST' });
      published += zombie.published + FRAMES;
      worker.kill('SIGKILL');
    }
    await using last = await channel.openPublisher();
    await last.finish();
    const { report, code } = await ask<SubscriptionEnding>(subscriber, 'ending');
    expect({ ...report, code }, `seed ${seed}`).toMatchObject({ torn: 0, faults: [], code: null });
    expect(report.taken + report.lost, `seed ${seed}`).toBe(published);
  });
});
