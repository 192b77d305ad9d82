/** A publisher process: checked frames of random length, as many as it is told, as fast as its channel lets it. */
import { setTimeout as rest } from 'node:timers/promises';
import { type Broker, connect, type Publisher } from '@leasehold/client';
import { CHECKED_BYTES_MIN, seededRandom, writeChecked } from '../support/checked-frames.ts';
import { serveQuestions } from '../support/worker-side.ts';

export interface PublishTask {
  readonly channel: string;
  readonly frames: number;
  readonly payloadBytesMax: number;
  readonly seed: number;
  /** A rest of a millisecond after so many frames, so that subscribers on few cores get a look; 0: none. */
  readonly framesPerRest: number;
}

export interface PublishReport {
  readonly published: number;
  /** Times that an `overwrite` channel had no slot. */
  readonly dropped: number;
  readonly first: bigint;
  readonly last: bigint;
}

/** Frames between turns of the event loop. */
const FRAMES_PER_TURN = 16;

const runtimeDir = process.argv[2];
let broker: Broker | undefined;

serveQuestions(async (question: { publish: PublishTask } | 'close') => {
  if (question === 'close') return broker?.close();
  broker ??= await connect({ runtimeDir });
  const channel = await broker.channel(question.publish.channel);
  const publisher = await channel.openPublisher();
  const report = await publish(publisher, question.publish);
  await publisher.finish();
  await publisher.close();
  return report;
});

async function publish(publisher: Publisher, task: PublishTask): Promise<PublishReport> {
  const { frames, payloadBytesMax, seed, framesPerRest } = task;
  const random = seededRandom(seed);
  const { fencingToken } = publisher;
  let [first, last] = [0n, 0n];
  for (let number = 0; number < frames; number += 1) {
    const loan = publisher.tryLoan() ?? (await publisher.loan());
    const length = CHECKED_BYTES_MIN + Math.floor(random() * (payloadBytesMax - CHECKED_BYTES_MIN + 1));
    const payloadBytes = writeChecked(loan.bytes, length, { number, fencingToken });
    loan.publish({ payloadBytes });
    last = loan.sequence ?? 0n;
    if (number === 0) first = last;
    if (framesPerRest > 0 && number % framesPerRest === 0) await rest(1);
    else if (number % FRAMES_PER_TURN === 0) await new Promise(setImmediate);
  }
  return { published: publisher.published, dropped: publisher.dropped, first, last };
}
