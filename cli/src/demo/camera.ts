/**
 * The demo's camera: renders 1080p60 straight into shared memory, one slot after another, and ends the stream.
 * A picture carries the sequence number that it is published under.
 */
import { type Broker, monotonicNs, type Publisher } from '@leasehold/client';
import { Pacer } from '../video/pacer.ts';
import { report, startOrder } from './child-side.ts';
import type { CameraFigures } from './messages.ts';
import { TestCard } from './pixels/test-card.ts';
import {
  CHANNEL_NAME,
  FOURCC,
  FRAME_BYTES,
  FRAMES_PER_SECOND,
  PRACTICE_ROUNDS,
  RASTER,
  REPORT_INTERVAL_MS,
  SLOTS,
} from './scene.ts';

const NS_PER_S = 1e9;

export async function runCamera(broker: Broker, seconds: number, signal: AbortSignal): Promise<void> {
  const channel = await broker.createChannel(CHANNEL_NAME, {
    format: {
      fourcc: FOURCC,
      ...RASTER,
      frameRate: { numerator: FRAMES_PER_SECOND, denominator: 1 },
    },
    slotBytes: FRAME_BYTES,
    slots: SLOTS,
    pages: 'auto',
    overflow: 'overwrite',
    signal,
  });
  const publisher = await channel.openPublisher({ signal });
  try {
    const card = new TestCard(RASTER.width, RASTER.height);
    practise(card);
    const { pageKind, fallbackReason } = channel.memory;
    await report({ kind: 'ready', pages: { granted: pageKind, reason: fallbackReason } });
    await startOrder(signal);
    const figures = await film(publisher, card, seconds * FRAMES_PER_SECOND, signal);
    await publisher.finish({ signal });
    await report({ kind: 'finished', figures });
  } finally {
    await publisher.close();
  }
}

/** The first pictures do not wait for the compiler. */
function practise(card: TestCard): void {
  const scratch = new Uint8Array(FRAME_BYTES);
  for (let round = 0; round < PRACTICE_ROUNDS; round += 1) card.render(scratch, round, Date.now());
}

async function film(publisher: Publisher, card: TestCard, ticks: number, signal: AbortSignal): Promise<CameraFigures> {
  const pacer = new Pacer({ numerator: FRAMES_PER_SECOND, denominator: 1 }, { signal });
  let sequence = 0n;
  let firstNs = 0;
  let newestNs = 0;
  const figures = (): CameraFigures => ({
    frames: publisher.published,
    dropped: publisher.dropped,
    fps: newestNs > firstNs ? ((publisher.published - 1) * NS_PER_S) / (newestNs - firstNs) : 0,
  });
  let reportDueMs = 0;
  for (let tick = 0; tick < ticks; tick += 1) {
    await pacer.next();
    const loan = publisher.tryLoan();
    if (loan === null) continue;
    card.render(loan.bytes, Number(sequence + 1n), Date.now());
    loan.publish({ payloadBytes: FRAME_BYTES });
    if (loan.sequence !== sequence + 1n) throw new Error(`frame ${sequence + 1n} was published as ${loan.sequence}`);
    sequence = loan.sequence;
    newestNs = monotonicNs();
    if (firstNs === 0) firstNs = newestNs;
    if (performance.now() >= reportDueMs) {
      reportDueMs = performance.now() + REPORT_INTERVAL_MS;
      void report({ kind: 'figures', figures: figures() });
    }
  }
  return figures();
}
