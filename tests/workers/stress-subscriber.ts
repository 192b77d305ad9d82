/**
 * A subscriber process that holds every frame to its checksum and its order, until the end of the stream; then it reports. With a
 * seed it stalls at random, now and then with frames held, which must still be whole afterwards.
 */
import { setTimeout as stall } from 'node:timers/promises';
import { type Broker, connect, type Frame, type SubscribeOptions, type Subscriber } from '@leasehold/client';
import { seededRandom } from '../support/checked-frames.ts';
import { type AuditReport, FrameAudit } from '../support/frame-audit.ts';
import { serveQuestions } from '../support/worker-side.ts';

export interface SubscriberTask {
  readonly channel: string;
  readonly options: SubscribeOptions;
  /** Sequence of the first frame. */
  readonly firstSequence: bigint;
  /** Stall at random. */
  readonly stallSeed?: number;
}

const STALLS_PER_FRAME = 1 / 400;
const STALL_MS_MAX = 15;
/** Frames taken before the event loop, and with it IPC, gets a turn. */
const FRAMES_PER_TURN = 512;

const runtimeDir = process.argv[2];
let broker: Broker | undefined;
let report: Promise<AuditReport> | undefined;

/** `subscribe` answers when the subscription stands; `report` when the stream has ended. */
serveQuestions(async (question: { subscribe: SubscriberTask } | 'report' | 'close') => {
  if (question === 'report') return report;
  if (question === 'close') return broker?.close();
  const { channel, options, firstSequence, stallSeed } = question.subscribe;
  broker = await connect({ runtimeDir });
  const subscriber = await broker.subscribe(channel, options);
  const audit = new FrameAudit(subscriber, firstSequence);
  report = drain(subscriber, audit, stallSeed === undefined ? () => 1 : seededRandom(stallSeed));
  report.catch(() => undefined);
});

async function drain(subscriber: Subscriber, audit: FrameAudit, random: () => number): Promise<AuditReport> {
  for (let frames = 1; ; frames += 1) {
    const frame = await subscriber.take();
    if (frame === null) return audit.report();
    audit.check(frame);
    if (random() < STALLS_PER_FRAME) await stallWith(frame, audit, random);
    frame.release();
    if (frames % FRAMES_PER_TURN === 0) await new Promise(setImmediate);
  }
}

async function stallWith(frame: Frame, audit: FrameAudit, random: () => number): Promise<void> {
  const stallMs = random() * STALL_MS_MAX;
  const hold = random() < 0.5;
  if (!hold) frame.release();
  await stall(stallMs);
  if (hold) audit.recheck(frame);
}
