/**
 * A subscriber process of the demo: takes frames, holds each picture to its descriptor, does its work in place, and
 * measures how long the frame took from publish to take.
 */
import { type Broker, type Frame, monotonicNs } from '@leasehold/client';
import { report } from './child-side.ts';
import { createFrameWork, type FrameWork } from './frame-work.ts';
import { LatencyRecorder } from './latency.ts';
import type { SubscriberFigures } from './messages.ts';
import { readFrameNumber } from './pixels/frame-strip.ts';
import {
  CHANNEL_NAME,
  FRAME_BYTES,
  PRACTICE_ROUNDS,
  RASTER,
  REPORT_INTERVAL_MS,
  type SubscriberName,
} from './scene.ts';

export interface DemoSubscriberOptions {
  readonly name: SubscriberName;
  readonly thumbnailDir: string;
  readonly signal: AbortSignal;
}

export async function runDemoSubscriber(broker: Broker, options: DemoSubscriberOptions): Promise<void> {
  const { signal } = options;
  const work = await createFrameWork(options.name, options.thumbnailDir);
  await practise(work);
  const channel = await broker.waitForChannel(CHANNEL_NAME, { signal });
  const subscriber = await channel.subscribe({ mode: work.mode, signal });
  try {
    await report({ kind: 'ready' });
    const watcher = new Watcher(work);
    const figures = (): SubscriberFigures => ({
      ...watcher.figures(),
      frames: subscriber.taken,
      lost: subscriber.lost,
      skipped: subscriber.skipped,
    });
    let reportDueMs = 0;
    for (;;) {
      const frame = await subscriber.take({ signal });
      if (frame === null) break;
      watcher.watch(frame);
      if (performance.now() < reportDueMs) continue;
      reportDueMs = performance.now() + REPORT_INTERVAL_MS;
      void report({ kind: 'figures', figures: figures() });
    }
    await work.settle?.();
    await report({ kind: 'finished', figures: figures() });
  } finally {
    await subscriber.close();
  }
}

async function practise(work: FrameWork): Promise<void> {
  const blank = new Uint8Array(FRAME_BYTES);
  for (let round = 0; round < PRACTICE_ROUNDS; round += 1) {
    readFrameNumber(blank, RASTER);
    await work.practise(blank);
  }
}

class Watcher {
  readonly #work: FrameWork;
  readonly #latency = new LatencyRecorder();
  #mismatched = 0;

  constructor(work: FrameWork) {
    this.#work = work;
  }

  /** Releases the frame; what the work still holds of it, it keeps. */
  watch(frame: Frame): void {
    this.#latency.record(monotonicNs() - Number(frame.info.publishedNs));
    try {
      const frameNumber = readFrameNumber(frame.bytes, RASTER);
      if (frameNumber === null || BigInt(frameNumber) !== frame.sequence) this.#mismatched += 1;
      else this.#work.examine(frame, frameNumber);
    } finally {
      frame.release();
    }
  }

  figures(): Pick<SubscriberFigures, 'mismatched' | 'latencyUs' | 'finding'> {
    return { mismatched: this.#mismatched, latencyUs: this.#latency.summary(), finding: this.#work.finding() };
  }
}
