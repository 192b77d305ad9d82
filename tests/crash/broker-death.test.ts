/** The broker killed, or told to end: frames go on flowing without it, whoever needs it is told, and another one takes its place. */
import { type Channel, connect, LeaseholdError, type Publisher } from '@leasehold/client';
import { describe, expect, it, onTestFinished } from 'vitest';
import { type BrokerProcess, startBroker } from '../support/broker-process.ts';
import { writeChecked } from '../support/checked-frames.ts';
import { failureOf } from '../support/failure.ts';
import { startWorker, type Worker } from '../support/processes.ts';
import type { SubscriberQuestion, SubscriptionEnding } from '../workers/crash-subscriber.ts';

const FRAMES = 2_000;
const SUBSCRIBERS = 2;
const CHANNEL = 'crash/orphaned';

const ask = <T>(worker: Worker, question: SubscriberQuestion): Promise<T> => worker.ask<T>(question);

async function publish(publisher: Publisher, frames: number): Promise<void> {
  const { fencingToken } = publisher;
  for (let i = 0; i < frames; i += 1) {
    using loan = await publisher.loan();
    const number = publisher.published;
    loan.publish({
      payloadBytes: writeChecked(loan.bytes, loan.bytes.length - (number % 64), { number, fencingToken }),
    });
    if (i % 16 === 0) await new Promise(setImmediate);
  }
}

async function kill(broker: BrokerProcess): Promise<void> {
  broker.child.kill('SIGKILL');
  await broker.ended;
}

/** A `block` channel, so that publisher and subscribers need one another's doorbells, and subscribers that follow it. */
async function openChannel(
  runtimeDir: string,
): Promise<{ channel: Channel; publisher: Publisher; workers: Worker[]; lost: AbortSignal }> {
  const broker = await connect({ runtimeDir });
  onTestFinished(() => broker.close());
  const format = { fourcc: 'RGBA', width: 16, height: 16 };
  const channel = await broker.createChannel(CHANNEL, { format, slots: 8, overflow: 'block', blockTimeoutMs: 60_000 });
  const workers = Array.from({ length: SUBSCRIBERS }, () => startWorker('crash-subscriber', [runtimeDir]));
  for (const worker of workers) {
    await ask(worker, { subscribe: { channel: CHANNEL, options: { wait: 'park' } } });
    await ask(worker, 'follow');
  }
  return { channel, publisher: await channel.openPublisher(), workers, lost: broker.lost };
}

describe('when the broker is killed', () => {
  it.each(['SIGKILL', 'SIGTERM'] as const)(
    'by %s, publisher and subscribers go on in memory to the end of the stream',
    async (signal) => {
      const broker = await startBroker(['--drain-ms', '0']);
      const { publisher, workers, lost } = await openChannel(broker.runtimeDir);
      await publish(publisher, FRAMES);
      broker.child.kill(signal);
      while (!lost.aborted) await publish(publisher, 16);
      await publish(publisher, FRAMES);
      await publisher.finish();
      for (const worker of workers) {
        const { report, code } = await ask<SubscriptionEnding>(worker, 'ending');
        expect({ ...report, code }).toMatchObject({
          taken: publisher.published,
          lost: 0,
          torn: 0,
          faults: [],
          code: null,
        });
      }
      expect(publisher.lost.aborted).toBe(false);
    },
  );

  it('clients are told BROKER_LOST, and so is a subscriber that waits for what does not come', async () => {
    const broker = await startBroker();
    const { channel, publisher, workers, lost } = await openChannel(broker.runtimeDir);
    await publish(publisher, FRAMES);
    const told = new Promise((resolve) => lost.addEventListener('abort', resolve, { once: true }));
    await kill(broker);
    await told;
    expect(lost.reason).toBeInstanceOf(LeaseholdError);
    expect(lost.reason).toMatchObject({ code: 'BROKER_LOST' });
    expect(await failureOf(() => channel.info())).toMatchObject({ code: 'BROKER_LOST' });
    expect(await failureOf(() => channel.subscribe())).toMatchObject({ code: 'BROKER_LOST' });
    for (const worker of workers) {
      const { report, code, brokerLost } = await ask<SubscriptionEnding>(worker, 'ending');
      expect({ ...report, code, brokerLost }).toMatchObject({
        taken: FRAMES,
        lost: 0,
        torn: 0,
        faults: [],
        code: 'BROKER_LOST',
        brokerLost: 'BROKER_LOST',
      });
    }
  });

  it('a new one takes its place in the same directory, with higher tokens, however many clients the old one left behind', async () => {
    const first = await startBroker();
    const { publisher: orphan, workers: orphans } = await openChannel(first.runtimeDir);
    await publish(orphan, FRAMES);
    await kill(first);
    const unreachable = await failureOf(() => connect({ runtimeDir: first.runtimeDir }));
    expect(unreachable.code).toBe('BROKER_UNREACHABLE');

    const second = await startBroker([], first.base);
    expect(second.runtimeDir).toBe(first.runtimeDir);
    const { publisher, workers } = await openChannel(second.runtimeDir);
    expect(publisher.fencingToken).toBeGreaterThan(orphan.fencingToken);
    await publish(publisher, FRAMES);
    await publisher.finish();
    for (const worker of workers) {
      const { report, code } = await ask<SubscriptionEnding>(worker, 'ending');
      expect({ ...report, code }).toMatchObject({ taken: FRAMES, lost: 0, torn: 0, faults: [], code: null });
    }
    // Those of the old channel, another memory of the same name, have seen nothing of it.
    for (const worker of orphans) {
      const { report, code } = await ask<SubscriptionEnding>(worker, 'ending');
      expect({ ...report, code }).toMatchObject({ taken: FRAMES, torn: 0, faults: [], code: 'BROKER_LOST' });
      expect(report.tokens).toEqual([orphan.fencingToken]);
    }
  });
});
