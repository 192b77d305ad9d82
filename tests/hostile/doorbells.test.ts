/** Somebody who floods every doorbell there is: nobody is woken for nothing for long, nobody is blocked, nothing is missed. */
import { connect } from '@leasehold/client';
import { expect, it, onTestFinished } from 'vitest';
import { startBroker } from '../support/broker-process.ts';
import { startWorker } from '../support/processes.ts';
import { heldBy } from './figures.ts';
import { normalClient } from './normal-client.ts';

const FRAMES = 3_000;

it('a flood of rings on every doorbell costs a parked subscriber and a blocking publisher no frame', async () => {
  const { runtimeDir, pid } = await startBroker();
  const broker = await connect({ runtimeDir });
  onTestFinished(() => broker.close());
  const spec = { slotBytes: 64, slots: 8, overflow: 'block', pages: 'never' } as const;
  const channel = await broker.createChannel('victim', spec);
  const subscriber = await channel.subscribe({ wait: 'park' });
  const publisher = await channel.openPublisher();
  const normal = await normalClient(runtimeDir);
  await normal.works();
  const before = heldBy(pid);
  const ringer = startWorker('hostile-ringer', [runtimeDir]);
  await ringer.ask('start');
  const publishing = (async () => {
    for (let i = 0; i < FRAMES; i += 1) (await publisher.loan()).publish();
    await publisher.finish();
  })();
  let expected = 1n;
  for await (using frame of subscriber) {
    expect(frame.sequence).toBe(expected);
    expected += 1n;
  }
  await publishing;
  expect([expected, subscriber.lost]).toEqual([BigInt(FRAMES) + 1n, 0]);
  expect(await ringer.ask<number>('count')).toBeGreaterThan(0);
  await normal.works();
  ringer.kill('SIGKILL');
  await ringer.ended;
  expect(heldBy(pid)).toEqual(before);
});

it('a doorbell that is full, of a subscriber that is stopped, blocks neither its ringers nor the broker', async () => {
  const { runtimeDir } = await startBroker();
  const broker = await connect({ runtimeDir });
  onTestFinished(() => broker.close());
  const channel = await broker.createChannel('victim', { slotBytes: 64, slots: 8, pages: 'never' });
  const publisher = await channel.openPublisher();
  const stopped = startWorker('hostile-sleeper', [runtimeDir, 'victim']);
  await stopped.ask('park');
  stopped.kill('SIGSTOP');
  const ringer = startWorker('hostile-ringer', [runtimeDir]);
  await ringer.ask('start');
  await expect.poll(() => ringer.ask<number>('count')).toBeGreaterThan(10_000);
  const subscriber = await channel.subscribe();
  for (let i = 1; i <= FRAMES; i += 1) {
    (await publisher.loan()).publish();
    const frame = await subscriber.take();
    expect(frame?.sequence).toBe(BigInt(i));
    frame?.release();
  }
  ringer.kill('SIGKILL');
  // The broker rings everybody, the one with the full doorbell too.
  await channel.delete();
  stopped.kill('SIGCONT');
  expect(await stopped.ask('outcome')).toBe('MAPPING_DELETED');
});
