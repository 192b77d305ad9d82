/** Subscribers killed while they hold frames: the publisher always finds a slot, and nobody else notices. */
import { type Channel, connect } from '@leasehold/client';
import { expect, it, onTestFinished, vi } from 'vitest';
import { newSeed, seededRandom } from '../support/checked-frames.ts';
import type { AuditReport } from '../support/frame-audit.ts';
import { startWorker, type Worker } from '../support/processes.ts';
import { sharedBroker } from '../support/shared-broker.ts';
import type { PublisherQuestion, PublisherState } from '../workers/crash-publisher.ts';
import type { SubscriberQuestion, SubscriptionEnding } from '../workers/crash-subscriber.ts';

const DEATHS = 200;
const BATCH = 8;
const PINS = 2;
const BYSTANDERS = ['queue', 'latest'] as const;
/** As few as admission allows: one pin that outlived its owner, and the next batch or the publisher would lack a slot. */
const SLOTS = BATCH * PINS + BYSTANDERS.length * PINS + 1 + 1;
const KILL_AFTER_MS_MAX = 20;
const CHANNEL = 'crash/subscribers';

const { runtimeDir } = sharedBroker();

const subscribe = (worker: Worker, mode: 'queue' | 'latest'): Promise<unknown> => {
  const options = { mode, maxPins: PINS, wait: 'park' } as const;
  return worker.ask({ subscribe: { channel: CHANNEL, options } } satisfies SubscriberQuestion);
};

async function untilSubscribers(channel: Channel, count: number): Promise<void> {
  const gone = async (): Promise<boolean> => (await channel.info()).subscribers.length === count;
  await vi.waitUntil(gone, { timeout: 60_000, interval: 2 });
}

/** One subscriber that dies holding frames: half of them all they may, half one, while they take and release others. */
async function liveAndDie(worker: Worker, random: () => number): Promise<readonly string[]> {
  await subscribe(worker, 'queue');
  const all = random() < 0.5;
  const { faults } = await worker.ask<AuditReport>({ hold: all ? PINS : 1 } satisfies SubscriberQuestion);
  if (all) worker.kill('SIGKILL');
  else {
    await worker.ask('churn' satisfies SubscriberQuestion);
    setTimeout(() => worker.kill('SIGKILL'), random() * KILL_AFTER_MS_MAX);
  }
  await worker.ended;
  return faults;
}

it(`${DEATHS} subscribers die holding frames, and neither the publisher nor other subscribers notice`, async () => {
  const seed = newSeed();
  const random = seededRandom(seed);
  const broker = await connect({ runtimeDir });
  onTestFinished(() => broker.close());
  const format = { fourcc: 'RGBA', width: 16, height: 16 };
  const channel = await broker.createChannel(CHANNEL, { format, slots: SLOTS });
  const bystanders = BYSTANDERS.map(() => startWorker('crash-subscriber', [runtimeDir]));
  await Promise.all(bystanders.map((worker, i) => subscribe(worker, BYSTANDERS[i] ?? 'queue')));
  for (const worker of bystanders) await worker.ask('follow' satisfies SubscriberQuestion);

  const publisher = startWorker('crash-publisher', [runtimeDir]);
  await publisher.ask({ queue: { channel: CHANNEL, seed } } satisfies PublisherQuestion);
  await publisher.ask('promotion' satisfies PublisherQuestion);
  await publisher.ask('churn' satisfies PublisherQuestion);

  for (let deaths = 0; deaths < DEATHS; deaths += BATCH) {
    const victims = Array.from({ length: BATCH }, () => startWorker('crash-subscriber', [runtimeDir]));
    const faults = await Promise.all(victims.map((worker) => liveAndDie(worker, random)));
    expect(faults.flat(), `seed ${seed}`).toEqual([]);
    await untilSubscribers(channel, BYSTANDERS.length);
  }

  const published = await publisher.ask<PublisherState>('stop' satisfies PublisherQuestion);
  expect(published, `seed ${seed}`).toMatchObject({ dropped: 0, code: null });
  await publisher.ask('finish' satisfies PublisherQuestion);
  for (const worker of bystanders) {
    const { report, code } = await worker.ask<SubscriptionEnding>('ending' satisfies SubscriberQuestion);
    expect({ ...report, code }, `seed ${seed}`).toMatchObject({ torn: 0, faults: [], code: null });
    expect(report.taken + report.lost + report.skipped, `seed ${seed}`).toBe(published.published);
  }
});
