/** Publishers killed in mid-frame, each with standbys behind it: the next takes over, and no subscriber ever sees a torn frame. */
import { connect } from '@leasehold/client';
import { expect, it, onTestFinished } from 'vitest';
import { newSeed, seededRandom } from '../support/checked-frames.ts';
import { startWorker, type Worker } from '../support/processes.ts';
import { sharedBroker } from '../support/shared-broker.ts';
import type { Promotion, PublisherQuestion, PublisherState } from '../workers/crash-publisher.ts';
import type { SubscriberQuestion, SubscriptionEnding } from '../workers/crash-subscriber.ts';

const DEATHS = 100;
/** Publishers in the queue, the promoted one included. */
const QUEUE = 4;
const SUBSCRIBERS = ['queue', 'queue', 'latest'] as const;
const FRAMES_MAX = 200;
const KILL_AFTER_MS_MAX = 10;
/** Far fewer than deaths: a slot that stayed a dead publisher's would be missed. */
const SLOTS = 12;
const CHANNEL = 'crash/publishers';

const { runtimeDir } = sharedBroker();

const ask = <T>(worker: Worker, question: PublisherQuestion | SubscriberQuestion): Promise<T> =>
  worker.ask<T>(question);

/** A publisher process in the queue for the channel. */
interface Standby {
  readonly worker: Worker;
  readonly promotion: Promise<{ readonly standby: Standby; readonly promotion: Promotion }>;
}

async function standBy(seed: number): Promise<Standby> {
  const worker = startWorker('crash-publisher', [runtimeDir]);
  await ask(worker, { queue: { channel: CHANNEL, seed } });
  const asked = ask<Promotion>(worker, 'promotion');
  const standby: Standby = { worker, promotion: asked.then((promotion) => ({ standby, promotion })) };
  return standby;
}

/** Publishes for a while, and is killed: half of them with a half-written slot, half at a moment that nobody chose. */
async function publishAndDie(worker: Worker, random: () => number): Promise<void> {
  if (random() < 0.5) {
    await ask(worker, { publish: Math.floor(random() * FRAMES_MAX) });
    await ask(worker, 'half');
    worker.kill('SIGKILL');
  } else {
    await ask(worker, 'churn');
    setTimeout(() => worker.kill('SIGKILL'), random() * KILL_AFTER_MS_MAX);
  }
  await worker.ended;
}

async function createChannel(): Promise<void> {
  const broker = await connect({ runtimeDir });
  onTestFinished(() => broker.close());
  await broker.createChannel(CHANNEL, { format: { fourcc: 'RGBA', width: 16, height: 16 }, slots: SLOTS });
}

it(`${DEATHS} publishers die in mid-frame, and every time a standby takes over with a higher token`, async () => {
  const seed = newSeed();
  const random = seededRandom(seed);
  await createChannel();
  const subscribers = SUBSCRIBERS.map(() => startWorker('crash-subscriber', [runtimeDir]));
  for (const [i, worker] of subscribers.entries()) {
    await ask(worker, { subscribe: { channel: CHANNEL, options: { mode: SUBSCRIBERS[i] ?? 'queue', wait: 'park' } } });
    await ask(worker, 'follow');
  }

  const tokens: bigint[] = [];
  const queue = new Set(await Promise.all(Array.from({ length: QUEUE }, (_, i) => standBy(seed + i))));
  for (let deaths = 0; deaths < DEATHS; deaths += 1) {
    const { standby, promotion } = await Promise.race([...queue].map((each) => each.promotion));
    expect(promotion.previousOwnerDied, `after ${deaths} deaths, seed ${seed}`).toBe(deaths > 0);
    tokens.push(promotion.fencingToken);
    queue.delete(standby);
    const [next] = await Promise.all([standBy(seed + QUEUE + deaths), publishAndDie(standby.worker, random)]);
    queue.add(next);
  }
  const { standby, promotion } = await Promise.race([...queue].map((each) => each.promotion));
  tokens.push(promotion.fencingToken);
  const rising = [...tokens].sort((a, b) => (a < b ? -1 : 1));
  expect(tokens, `seed ${seed}`).toEqual(rising);
  expect(new Set(tokens).size, `seed ${seed}`).toBe(DEATHS + 1);

  // It finds a slot for every frame, many times round: `publish` fails otherwise.
  await ask(standby.worker, { publish: SLOTS * 20 });
  await expectAccounted(subscribers, standby.worker, tokens, seed);
});

/** Subscribers report nothing torn, every gap as lost, and together with what was lost every frame that there was. */
async function expectAccounted(
  subscribers: readonly Worker[],
  publisher: Worker,
  tokens: readonly bigint[],
  seed: number,
): Promise<void> {
  const { last } = await ask<PublisherState>(publisher, 'stop');
  await ask(publisher, 'finish');
  for (const worker of subscribers) {
    const { report, code } = await ask<SubscriptionEnding>(worker, 'ending');
    expect({ ...report, code }, `seed ${seed}`).toMatchObject({ torn: 0, faults: [], code: null });
    expect(BigInt(report.taken + report.lost + report.skipped), `seed ${seed}`).toBe(last);
    expect(
      report.tokens.every((token) => tokens.includes(token)),
      `seed ${seed}`,
    ).toBe(true);
    expect(report.tokens.length, `seed ${seed}`).toBeGreaterThan(1);
  }
}
