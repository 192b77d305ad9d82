/** One publisher and many subscribers, each a process: nothing is lost, torn or out of order, on either side of every wrap. */
import { connect } from '@leasehold/client';
import { describe, expect, it, onTestFinished } from 'vitest';
import { newSeed } from '../support/checked-frames.ts';
import type { AuditReport } from '../support/frame-audit.ts';
import { startWorker } from '../support/processes.ts';
import { sharedBroker } from '../support/shared-broker.ts';
import type { PublishReport, PublishTask } from '../workers/stress-publisher.ts';
import type { SubscriberTask } from '../workers/stress-subscriber.ts';

interface Run {
  readonly subscribers: number;
  readonly frames: number;
  readonly slots: number;
  readonly overflow: 'overwrite' | 'block';
  readonly mode?: 'queue' | 'latest';
  readonly stall?: boolean;
  readonly firstSequence?: bigint;
}

const PAYLOAD_BYTES_MAX = 1024;

const { runtimeDir } = sharedBroker();
let runs = 0;

/** Publishes `frames` frames to all the subscribers, and what everybody reports of it. */
async function run(options: Run): Promise<{ published: PublishReport; reports: AuditReport[]; seed: number }> {
  const { subscribers, frames, slots, overflow, mode = 'queue', stall = false, firstSequence = 1n } = options;
  const seed = newSeed();
  runs += 1;
  const name = `stress/frames-${runs}`;
  const broker = await connect({ runtimeDir });
  onTestFinished(() => broker.close());
  const format = { fourcc: 'RGBA', width: 16, height: 16 };
  const channel = { format, slotBytes: PAYLOAD_BYTES_MAX, slots, overflow, firstSequence, blockTimeoutMs: 60_000 };
  await broker.createChannel(name, channel);
  const workers = Array.from({ length: subscribers }, () => startWorker('stress-subscriber', [runtimeDir]));
  await Promise.all(
    workers.map((worker, i) => {
      const wait = i % 4 === 0 ? 'adaptive' : 'park';
      const task: SubscriberTask = {
        channel: name,
        options: { mode, wait },
        firstSequence,
        ...(stall ? { stallSeed: seed + i } : {}),
      };
      return worker.ask({ subscribe: task });
    }),
  );
  const publisher = startWorker('stress-publisher', [runtimeDir]);
  const task: PublishTask = {
    channel: name,
    frames,
    payloadBytesMax: PAYLOAD_BYTES_MAX,
    seed,
    framesPerRest: overflow === 'overwrite' ? 32 : 0,
  };
  const [published, ...reports] = await Promise.all([
    publisher.ask<PublishReport>({ publish: task }),
    ...workers.map((worker) => worker.ask<AuditReport>('report')),
  ]);
  await Promise.all([publisher, ...workers].map((worker) => worker.ask('close')));
  return { published, reports, seed };
}

function expectEveryFrame({ published, reports, seed }: Awaited<ReturnType<typeof run>>, options: Run): void {
  const first = options.firstSequence ?? 1n;
  const last = first + BigInt(options.frames) - 1n;
  expect(published).toMatchObject({ published: options.frames, first, last });
  expect(reports).toHaveLength(options.subscribers);
  for (const report of reports) {
    const whole = { taken: options.frames, lost: 0, skipped: 0, torn: 0, faults: [], first, last };
    expect(report, `seed ${seed}`).toMatchObject(whole);
  }
}

function expectEveryFrameAccounted({ published, reports, seed }: Awaited<ReturnType<typeof run>>, options: Run): void {
  const first = options.firstSequence ?? 1n;
  expect(published, `seed ${seed}`).toMatchObject({ published: options.frames, dropped: 0, first });
  expect(reports).toHaveLength(options.subscribers);
  for (const report of reports) {
    expect(report, `seed ${seed}`).toMatchObject({ torn: 0, faults: [] });
    expect(report.taken, `seed ${seed}`).toBeGreaterThan(0);
    expect(report.taken + report.lost + report.skipped, `seed ${seed}`).toBe(options.frames);
  }
}

describe('one publisher process and many subscriber processes', () => {
  it('lose, tear and reorder none of 100,000 frames on a block channel', async () => {
    const options: Run = { subscribers: 8, frames: 100_000, slots: 64, overflow: 'block' };
    expectEveryFrame(await run(options), options);
  });

  it('account for every one of 100,000 frames when subscribers of an overwrite channel stall at random', async () => {
    const options: Run = { subscribers: 8, frames: 100_000, slots: 64, overflow: 'overwrite', stall: true };
    const outcome = await run(options);
    expectEveryFrameAccounted(outcome, options);
    const lost = outcome.reports.reduce((sum, report) => sum + report.lost, 0);
    expect(lost, `nobody was ever too slow, so nothing was shown; seed ${outcome.seed}`).toBeGreaterThan(0);
  });

  it('account for every frame when subscribers want the latest only', async () => {
    const options: Run = {
      subscribers: 8,
      frames: 50_000,
      slots: 64,
      overflow: 'overwrite',
      mode: 'latest',
      stall: true,
    };
    expectEveryFrameAccounted(await run(options), options);
  });

  it('lose, tear and reorder nothing with 32 subscribers', async () => {
    const options: Run = { subscribers: 32, frames: 3_000, slots: 128, overflow: 'block' };
    expectEveryFrame(await run(options), options);
  });
});

describe.each([28, 30, 31, 32])('across sequence 2^%i', (power) => {
  const boundary = { subscribers: 3, frames: 6_000, slots: 64, firstSequence: 2n ** BigInt(power) - 3_000n } as const;

  it('a block channel loses, tears and reorders nothing', async () => {
    const options: Run = { ...boundary, overflow: 'block' };
    expectEveryFrame(await run(options), options);
  });

  it('an overwrite channel accounts for every frame', async () => {
    const options: Run = { ...boundary, overflow: 'overwrite', stall: true };
    const outcome = await run(options);
    expectEveryFrameAccounted(outcome, options);
    const crossed = outcome.reports.filter(
      ({ first, last }) => first < 2n ** BigInt(power) && last >= 2n ** BigInt(power),
    );
    expect(crossed, `seed ${outcome.seed}`).toHaveLength(boundary.subscribers);
  });
});
