/** Subscribers stopped with SIGSTOP while they hold frames: others go on, and the channel's bound decides who waits how long. */
import { type Channel, type ChannelOptions, connect, type Publisher } from '@leasehold/client';
import { describe, expect, it, onTestFinished } from 'vitest';
import { writeChecked } from '../support/checked-frames.ts';
import { failureOf } from '../support/failure.ts';
import type { AuditReport } from '../support/frame-audit.ts';
import { startWorker, type Worker } from '../support/processes.ts';
import { sharedBroker } from '../support/shared-broker.ts';
import type { SubscriberQuestion, SubscriptionEnding } from '../workers/crash-subscriber.ts';

const PINS = 2;
const SLOTS = 8;
const FRAMES = 5_000;
/** Frames between turns of the event loop. */
const FRAMES_PER_TURN = 16;
/** The bound of the `block` channels, ms: long enough for whoever is not stopped, however busy the machine. */
const BLOCK_TIMEOUT_MS = 1_500;

const { runtimeDir } = sharedBroker();

const ask = <T>(worker: Worker, question: SubscriberQuestion): Promise<T> => worker.ask<T>(question);

let channels = 0;

async function openChannel(options: Partial<ChannelOptions>): Promise<{ channel: Channel; publisher: Publisher }> {
  const broker = await connect({ runtimeDir });
  onTestFinished(() => broker.close());
  channels += 1;
  const format = { fourcc: 'RGBA', width: 16, height: 16 };
  const channel = await broker.createChannel(`crash/stopped-${channels}`, { format, slots: SLOTS, ...options });
  return { channel, publisher: await channel.openPublisher() };
}

async function subscriberOf(channel: Channel): Promise<Worker> {
  const worker = startWorker('crash-subscriber', [runtimeDir]);
  await ask(worker, { subscribe: { channel: channel.name, options: { maxPins: PINS, wait: 'park' } } });
  return worker;
}

/** Publishes `frames` frames, waiting for a slot where the channel has it so. */
async function publish(publisher: Publisher, frames: number): Promise<void> {
  const { fencingToken } = publisher;
  for (let i = 0; i < frames; i += 1) {
    using loan = await publisher.loan();
    const number = publisher.published;
    loan.publish({
      payloadBytes: writeChecked(loan.bytes, loan.bytes.length - (number % 64), { number, fencingToken }),
    });
    if (i % FRAMES_PER_TURN === 0) await new Promise(setImmediate);
  }
}

const stop = (worker: Worker): void => worker.kill('SIGSTOP');
const resume = (worker: Worker): void => worker.kill('SIGCONT');

/** Publishes what `stopped` takes and holds, and stops it. */
async function stopHolding(publisher: Publisher, stopped: Worker): Promise<void> {
  const held = ask<AuditReport>(stopped, { hold: PINS });
  await publish(publisher, PINS);
  expect(await held).toMatchObject({ taken: PINS, faults: [] });
  stop(stopped);
}

describe('a subscriber stopped while it holds frames', () => {
  it('of an overwrite channel costs the publisher no slot and other subscribers no frame', async () => {
    const { channel, publisher } = await openChannel({});
    const stopped = await subscriberOf(channel);
    const other = await subscriberOf(channel);
    await stopHolding(publisher, stopped);
    await ask(other, 'follow');
    for (let sent = PINS; sent < FRAMES; sent += 1) {
      const loan = publisher.tryLoan();
      if (loan === null) throw new Error(`frame ${sent}: no slot`);
      const { fencingToken } = publisher;
      loan.publish({ payloadBytes: writeChecked(loan.bytes, loan.bytes.length, { number: sent, fencingToken }) });
      if (sent % FRAMES_PER_TURN === 0) await new Promise(setImmediate);
    }
    await publisher.finish();
    const { report } = await ask<SubscriptionEnding>(other, 'ending');
    expect(report).toMatchObject({ torn: 0, faults: [] });
    expect(report.taken + report.lost).toBe(FRAMES);

    resume(stopped);
    expect(await ask(stopped, 'recheck')).toMatchObject({ torn: 0, faults: [] });
    await ask(stopped, 'release');
    const { report: late, code } = await ask<SubscriptionEnding>(stopped, 'drain');
    expect({ ...late, code }).toMatchObject({ torn: 0, faults: [], code: null });
    expect(late.lost).toBeGreaterThan(0);
    expect(late.taken + late.lost).toBe(FRAMES);
  });

  it('of a block channel makes the loan fail at its bound, and the error names that participant', async () => {
    const named = [await nameStopped(0), await nameStopped(1)];
    expect(named[0]).not.toBe(named[1]);
  });

  it('of a block channel that detaches is cut off: others get every frame, and what it held stays whole', async () => {
    const block = { overflow: 'block', blockBound: 'detach', blockTimeoutMs: BLOCK_TIMEOUT_MS } as const;
    const { channel, publisher } = await openChannel(block);
    const stopped = await subscriberOf(channel);
    const other = await subscriberOf(channel);
    await ask(other, 'follow');
    await stopHolding(publisher, stopped);
    await publish(publisher, FRAMES - PINS);
    await publisher.finish();
    const { report, code } = await ask<SubscriptionEnding>(other, 'ending');
    expect({ ...report, code }).toMatchObject({ taken: FRAMES, lost: 0, torn: 0, faults: [], code: null });

    resume(stopped);
    expect(await ask(stopped, 'recheck')).toMatchObject({ taken: PINS, torn: 0, faults: [] });
    await ask(stopped, 'release');
    expect(await ask<SubscriptionEnding>(stopped, 'drain')).toMatchObject({ code: 'SLOW_SUBSCRIBER' });
  });
});

/** Of two subscribers of a `block` channel the one that joined `which`-th is stopped. @returns the participant that the error names */
async function nameStopped(which: 0 | 1): Promise<string | undefined> {
  const { channel, publisher } = await openChannel({ overflow: 'block', blockTimeoutMs: BLOCK_TIMEOUT_MS });
  const workers = [await subscriberOf(channel), await subscriberOf(channel)] as const;
  const [stopped, other] = [workers[which], workers[1 - which] as Worker];
  await ask(other, 'follow');
  await stopHolding(publisher, stopped);
  const error = await failureOf(() => publish(publisher, SLOTS * 2));
  expect(error).toMatchObject({ code: 'TIMED_OUT', message: expect.stringContaining(channel.name) });
  expect(Number(error.metadata.framesBehind)).toBeGreaterThan(0);

  resume(stopped);
  await ask(stopped, 'release');
  await ask(stopped, 'follow');
  await publish(publisher, SLOTS * 2);
  await publisher.finish();
  for (const worker of workers) {
    const { report, code } = await ask<SubscriptionEnding>(worker, 'ending');
    const whole = { taken: publisher.published, lost: 0, torn: 0, faults: [], code: null };
    expect({ ...report, code }).toMatchObject(whole);
  }
  return error.metadata.participantIndex;
}
