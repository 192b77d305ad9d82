/** How waiting costs and ends, between real processes and threads. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect, type Frame, type Publisher, type WaitStrategy } from '@leasehold/client';
import { describe, expect, it } from 'vitest';
import { command, startWorker } from '../support/processes.ts';
import { sharedBroker } from '../support/shared-broker.ts';
import { tempDir } from '../support/temp-dir.ts';

const { runtimeDir } = sharedBroker();

const ROUNDS = 20;

/** Counts the datagrams that process `pid` sends while `work` runs; null when nobody may watch it. */
async function sentBy(pid: number, work: () => Promise<void>): Promise<number | null> {
  const log = join(tempDir(), 'calls');
  const strace = command('strace', ['-p', String(pid), '-e', 'trace=sendto', '-o', log]);
  const attached = expect.poll(() => strace.stderr()).toContain('attached');
  const outcome = await Promise.race([attached.then(() => 'attached'), strace.ended.catch(() => 'absent')]);
  if (outcome !== 'attached') return null;
  await work();
  strace.child.kill('SIGINT');
  await strace.ended;
  return readFileSync(log, 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('sendto(')).length;
}

describe('a publication', () => {
  it('costs one system call per sleeping subscriber, and none when nobody sleeps', async ({ skip }) => {
    await using broker = await connect({ runtimeDir });
    await using other = await connect({ runtimeDir });
    const channel = await broker.createChannel('calls', { slotBytes: 64, slots: 16, pages: 'never' });
    const options = { wait: 'park' } as const;
    const subscribers = [
      await channel.subscribe(options),
      await channel.subscribe(options),
      await other.subscribe('calls', options),
    ];
    const publisher = startWorker('waiting-publisher', [runtimeDir, 'calls']);
    await publisher.ask(1);
    const release = (frame: Frame | null): void => frame?.release();
    for (const subscriber of subscribers) release(subscriber.tryTake());
    const awake = await sentBy(publisher.pid, async () => {
      for (let round = 0; round < ROUNDS; round += 1) {
        await publisher.ask(1);
        for (const subscriber of subscribers) release(subscriber.tryTake());
      }
    });
    if (awake === null) skip('strace is not there, or may not watch');
    const asleep = await sentBy(publisher.pid, async () => {
      for (let round = 0; round < ROUNDS; round += 1) {
        const taking = subscribers.map((subscriber) => subscriber.take());
        await publisher.ask(1);
        for (const frame of await Promise.all(taking)) release(frame);
      }
    });
    expect({ awake, asleep }).toEqual({ awake: 0, asleep: ROUNDS * subscribers.length });
  });
});

/** CPU time that a subscriber with `wait` takes while `frames` come at 60 per second, as a part of that time. */
async function cpuShare(wait: WaitStrategy, frames: number): Promise<number> {
  await using broker = await connect({ runtimeDir });
  const name = `cost/${wait}/${frames}`;
  const channel = await broker.createChannel(name, { slotBytes: 64, slots: 8, pages: 'never' });
  await using publisher = await channel.openPublisher();
  const subscriber = startWorker('waiting-subscriber', [runtimeDir, name, wait]);
  const cost = (): Promise<{ taken: number; cpuUs: number }> => subscriber.ask('cost');
  const before = await cost();
  const startedMs = performance.now();
  for (let frame = 0; frame < Math.max(frames, 30); frame += 1) {
    await sleep(1_000 / 60);
    if (frame < frames) (await publisher.loan()).publish();
  }
  await expect.poll(async () => (await cost()).taken).toBe(frames);
  const share = ((await cost()).cpuUs - before.cpuUs) / 1_000 / (performance.now() - startedMs);
  subscriber.kill('SIGKILL');
  await subscriber.ended;
  return share;
}

describe('a subscriber that waits', () => {
  it.each([
    ['idle', 0],
    ['at 60 frames a second', 60],
  ])('%s, takes a core if it spins or yields, and next to nothing of it if it parks or adapts', async (_, frames) => {
    const shares: Record<string, number> = {};
    for (const wait of ['park', 'adaptive', 'yield', 'spin'] as const) shares[wait] = await cpuShare(wait, frames);
    const busy = Math.min(shares.spin ?? 0, shares.yield ?? 0);
    const sleepy = Math.max(shares.park ?? 1, shares.adaptive ?? 1);
    expect(busy / sleepy, JSON.stringify(shares)).toBeGreaterThan(3);
  });
});

describe('a subscription that is closed', () => {
  it.each(['park', 'adaptive', 'yield', 'spin'] as const)('ends who waits on it, and every loop (%s)', async (wait) => {
    await using broker = await connect({ runtimeDir });
    const channel = await broker.createChannel(`closed/${wait}`, { slotBytes: 64, slots: 8, pages: 'never' });
    const subscriber = await channel.subscribe({ wait });
    const taking = expect(subscriber.take()).rejects.toMatchObject({ code: 'CLOSED' });
    const looping = (async () => {
      for await (const frame of subscriber) frame.release();
    })();
    await subscriber.close();
    await Promise.all([taking, looping]);
    await expect(subscriber.take()).rejects.toMatchObject({ code: 'CLOSED' });
    expect(() => subscriber.takeSync()).toThrow(expect.objectContaining({ code: 'CLOSED' }));
  });
});

describe('a set of subscriptions', () => {
  const publish = async (publisher: Publisher): Promise<void> => (await publisher.loan()).publish();

  it('of 64 channels gives the ones that have frames, and tells of those that have gone', async () => {
    await using broker = await connect({ runtimeDir });
    await using other = await connect({ runtimeDir });
    using set = broker.waitSet();
    const spec = { slotBytes: 64, slots: 8, pages: 'never' } as const;
    const lines = await Promise.all(
      Array.from({ length: 64 }, async (_, at) => {
        const channel = await other.createChannel(`set/${at}`, spec);
        const subscriber = await broker.subscribe(`set/${at}`, { wait: 'park' });
        set.add(subscriber);
        return { channel, subscriber, publisher: await channel.openPublisher() };
      }),
    );
    const line = (at: number) => lines[at] ?? expect.unreachable();
    for (const at of [5, 63, 5]) {
      const waiting = set.wait();
      await publish(line(at).publisher);
      expect(await waiting).toEqual([line(at).subscriber]);
      line(at).subscriber.tryTake()?.release();
    }
    await publish(line(1).publisher);
    await publish(line(2).publisher);
    expect(new Set(set.waitSync())).toEqual(new Set([line(1).subscriber, line(2).subscriber]));
    for (const at of [1, 2]) line(at).subscriber.tryTake()?.release();

    await line(3).publisher.finish();
    expect(await set.wait()).toEqual([line(3).subscriber]);
    expect([line(3).subscriber.tryTake(), line(3).subscriber.ended]).toEqual([null, true]);
    expect([...(await set.wait()), set.size]).toEqual([line(3).subscriber, 63]);

    const deleted = set.wait();
    await line(4).channel.delete();
    expect(await deleted).toEqual([line(4).subscriber]);
    expect(() => line(4).subscriber.tryTake()).toThrow(expect.objectContaining({ code: 'MAPPING_DELETED' }));

    const closed = set.wait();
    await line(6).subscriber.close();
    expect(await closed).toEqual([line(6).subscriber]);
    expect([set.size, set.has(line(6).subscriber)]).toEqual([61, false]);
    const stranger = await other.subscribe('set/7');
    expect(() => set.add(stranger)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }));
  });

  it('reports those that were closed before anybody waited, or before they were added', async () => {
    await using broker = await connect({ runtimeDir });
    using set = broker.waitSet();
    const channel = await broker.createChannel('set/closed', { slotBytes: 64, slots: 16, pages: 'never' });
    const subscribers = [await channel.subscribe(), await channel.subscribe(), await channel.subscribe()] as const;
    const [first, second, third] = subscribers;
    set.add(first).add(second);
    await first.close();
    expect(await set.wait()).toEqual([first]);
    await second.close();
    expect(set.waitSync()).toEqual([second]);
    await third.close();
    expect(await set.add(third).wait()).toEqual([third]);
    expect(set.size).toBe(0);
  });
});
