/** Every wait of the SDK ends by its timeout with TIMED_OUT and by its signal with ABORTED, and leaves nothing behind. */
import { type Broker, connect, type WaitOptions } from '@leasehold/client';
import { describe, expect, it, onTestFinished } from 'vitest';
import { startBroker } from '../support/broker-process.ts';
import { failureOf } from '../support/failure.ts';
import { heldBy } from './figures.ts';

const GIB = 2 ** 30;

/** What can be waited for, and how to wait in vain. */
const WAITS: Record<string, (broker: Broker) => Promise<(options: WaitOptions) => Promise<unknown>>> = {
  'a frame, parked': async (broker) => {
    const subscriber = await broker.subscribe('c', { wait: 'park' });
    return (options) => subscriber.take(options);
  },
  'a frame, spinning': async (broker) => {
    const subscriber = await broker.subscribe('c', { wait: 'spin' });
    return (options) => subscriber.take(options);
  },
  'a slot of a full block channel': async (broker) => {
    await broker.subscribe('c');
    const publisher = await (await broker.channel('c')).openPublisher();
    for (let loan = publisher.tryLoan(); loan !== null; loan = publisher.tryLoan()) loan.publish();
    return (options) => publisher.loan(options);
  },
  'the end mark of a full block channel': async (broker) => {
    await broker.subscribe('c');
    const publisher = await (await broker.channel('c')).openPublisher();
    for (let loan = publisher.tryLoan(); loan !== null; loan = publisher.tryLoan()) loan.publish();
    return (options) => publisher.finish(options);
  },
  'the lease of a channel with a publisher': async (broker) => {
    const channel = await broker.channel('c');
    await channel.openPublisher();
    return (options) => channel.openPublisher(options);
  },
  'a channel that nobody creates': async (broker) => (options) => broker.waitForChannel('never', options),
};

async function client(): Promise<Broker> {
  const { runtimeDir } = await startBroker();
  const broker = await connect({ runtimeDir, name: 'waits' });
  onTestFinished(() => broker.close());
  await broker.createChannel('c', {
    slotBytes: 64,
    slots: 8,
    overflow: 'block',
    blockTimeoutMs: 60_000,
    pages: 'never',
  });
  return broker;
}

describe.each(Object.entries(WAITS))('a wait for %s', (_what, begin) => {
  it('ends with TIMED_OUT, with ABORTED and its reason, and at once when it is aborted before', async () => {
    const broker = await client();
    const wait = await begin(broker);
    const participants = async () => {
      const { standbys, subscribers } = await (await broker.channel('c')).info();
      return { standbys, subscribers: subscribers.length };
    };
    const before = await participants();
    expect((await failureOf(() => wait({ timeoutMs: 50 }))).code).toBe('TIMED_OUT');
    const abort = new AbortController();
    const aborted = failureOf(() => wait({ signal: abort.signal }));
    await broker.info();
    abort.abort('enough');
    expect(await aborted).toMatchObject({ code: 'ABORTED', cause: 'enough' });
    expect((await failureOf(() => wait({ signal: abort.signal }))).code).toBe('ABORTED');
    await expect.poll(participants, { timeout: 20_000 }).toEqual(before);
  });
});

describe('a big creation', () => {
  it.each(['signal', 'timeout', 'end of the client'] as const)(
    'that is cancelled by %s gives all its memory back',
    async (how) => {
      const { runtimeDir, residentBytes, pid } = await startBroker();
      const observer = await connect({ runtimeDir, name: 'observer' });
      onTestFinished(() => observer.close());
      const creator = await connect({ runtimeDir, name: 'creator' });
      onTestFinished(() => creator.close());
      const charged = async () => (await observer.info()).memoryChargedBytes;
      await Promise.all([creator.info(), observer.info()]);
      const before = heldBy(pid);
      const abort = new AbortController();
      const bounds = how === 'timeout' ? { timeoutMs: 100 } : { signal: abort.signal };
      const creation = failureOf(() => creator.createMapping('big', { sizeBytes: 2 * GIB, pages: 'never', ...bounds }));
      if (how !== 'timeout') await expect.poll(charged, { interval: 1 }).toBeGreaterThan(2 * GIB);
      if (how === 'signal') abort.abort('enough');
      if (how === 'end of the client') await creator.close();
      expect((await creation).code).toMatch(/^(ABORTED|TIMED_OUT|UNAUTHENTICATED|CLOSED|BROKER_LOST)$/);
      await expect.poll(charged, { timeout: 20_000 }).toBe(0);
      expect(await observer.listMappings()).toEqual([]);
      // A client that ends takes its connections with it.
      const fds = how === 'end of the client' ? expect.any(Number) : before.fds;
      await expect.poll(() => heldBy(pid), { timeout: 20_000 }).toEqual({ ...before, fds });
      expect(residentBytes()).toBeLessThan(GIB);
      await observer.createMapping('big', { sizeBytes: 2 ** 20, pages: 'never' });
    },
  );
});
