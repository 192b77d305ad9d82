/** Subscribers that wait with a whole worker thread: each is a session of its own, in a process that goes on meanwhile. */
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { type Broker, connect, type Publisher, type WaitStrategy } from '@leasehold/client';
import { describe, expect, it, onTestFinished } from 'vitest';
import { startBroker } from '../support/broker-process.ts';
import { sharedBroker } from '../support/shared-broker.ts';
import type { ThreadReport, ThreadTask } from '../workers/thread-taker.ts';

const { runtimeDir } = sharedBroker();
const FILE = fileURLToPath(new URL('../workers/thread-taker.ts', import.meta.url));
const SPEC = { slotBytes: 64, slots: 16, overflow: 'block', pages: 'never' } as const;

/** A thread that has subscribed, and what it will say. */
async function taker(task: ThreadTask): Promise<{ thread: Worker; report: Promise<ThreadReport> }> {
  const thread = new Worker(FILE, { workerData: task });
  onTestFinished(async () => void (await thread.terminate()));
  expect(await once(thread, 'message')).toEqual(['ready']);
  return { thread, report: once(thread, 'message').then(([report]) => report as ThreadReport) };
}

async function publish(publisher: Publisher, frames: number): Promise<void> {
  for (let frame = 0; frame < frames; frame += 1) (publisher.tryLoan() ?? (await publisher.loan())).publish();
  await publisher.finish();
}

const publisherOf = async (broker: Broker, name: string): Promise<Publisher> =>
  (await broker.createChannel(name, SPEC)).openPublisher();

describe('a worker thread', () => {
  it.each<[WaitStrategy, number]>([
    ['park', 10_000],
    ['adaptive', 10_000],
    ['yield', 10_000],
    ['spin', 10_000],
  ])('that takes with takeSync (%s) misses none of 10,000 frames', async (wait, frames) => {
    await using broker = await connect({ runtimeDir });
    await using publisher = await publisherOf(broker, `thread/${wait}`);
    const { report } = await taker({ runtimeDir, names: [`thread/${wait}`], wait });
    await publish(publisher, frames);
    expect(await report).toEqual({ taken: frames, outOfOrder: 0, error: null });
  });

  it('that waits on a set with waitSync misses no frame of any channel', async () => {
    await using broker = await connect({ runtimeDir });
    const names = Array.from({ length: 8 }, (_, at) => `threads/${at}`);
    const publishers = await Promise.all(names.map((name) => publisherOf(broker, name)));
    const { report } = await taker({ runtimeDir, names, wait: 'park' });
    await Promise.all(publishers.map((publisher) => publish(publisher, 500)));
    expect(await report).toEqual({ taken: 8 * 500, outOfOrder: 0, error: null });
  });

  it('that sleeps notices that its channel is deleted, and can be ended from outside', async () => {
    await using broker = await connect({ runtimeDir });
    const channel = await broker.createChannel('thread/deleted', SPEC);
    const { report } = await taker({ runtimeDir, names: ['thread/deleted'], wait: 'park' });
    await channel.delete();
    expect(await report).toEqual({ taken: 0, outOfOrder: 0, error: 'MAPPING_DELETED' });
    await broker.createChannel('thread/ended', SPEC);
    const { thread } = await taker({ runtimeDir, names: ['thread/ended'], wait: 'park' });
    expect(await thread.terminate()).toBe(1);
  });

  it('that is ended from outside takes its session along: nobody waits for its subscription', async () => {
    await using broker = await connect({ runtimeDir });
    await using publisher = await publisherOf(broker, 'thread/killed');
    const { thread } = await taker({ runtimeDir, names: ['thread/killed'], wait: 'park' });
    await thread.terminate();
    await publish(publisher, 5 * SPEC.slots);
  });

  it.each([1, 2])('that sleeps on %d channels notices that the broker is gone', async (channels) => {
    const own = await startBroker();
    const broker = await connect({ runtimeDir: own.runtimeDir });
    onTestFinished(() => broker.close());
    const names = Array.from({ length: channels }, (_, at) => `lost/${at}`);
    for (const name of names) await broker.createChannel(name, SPEC);
    const { report } = await taker({ runtimeDir: own.runtimeDir, names, wait: 'park' });
    own.child.kill('SIGKILL');
    expect(await report).toEqual({ taken: 0, outOfOrder: 0, error: 'BROKER_LOST' });
  });
});
