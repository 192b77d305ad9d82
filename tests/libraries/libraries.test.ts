/** Libraries that work on frame bytes asynchronously, while another process publishes as fast as it can. */
import { type Broker, connect, type Frame } from '@leasehold/client';
import { describe, expect, it, onTestFinished } from 'vitest';
import { startBroker } from '../support/broker-process.ts';
import { startWorker } from '../support/processes.ts';
import { tempDir } from '../support/temp-dir.ts';
import { LIBRARIES } from './on-frames.ts';
import { CHANNEL, HEIGHT, picture, WIDTH } from './pattern.ts';

const SLOTS = 8;
const PINS = 4;

async function picturesAtFullRate(): Promise<{ runtimeDir: string; broker: Broker; stop: () => Promise<number> }> {
  const { runtimeDir } = await startBroker();
  const broker = await connect({ runtimeDir, name: 'libraries' });
  onTestFinished(() => broker.close());
  const format = { fourcc: 'RGBA', width: WIDTH, height: HEIGHT };
  await broker.createChannel(CHANNEL, { format, slots: SLOTS, pages: 'never' });
  const publisher = startWorker('library-publisher', [runtimeDir]);
  await publisher.ask('start');
  return { runtimeDir, broker, stop: () => publisher.ask<number>('stop') };
}

async function mustTake(take: Promise<Frame | null>): Promise<Frame> {
  const frame = await take;
  if (frame === null) throw new Error('the stream ended');
  return frame;
}

describe.each(Object.entries(LIBRARIES))('%s', (name, work) => {
  it('works on exactly the frame it was given while holdUntil waits for it, whatever is published meanwhile', async () => {
    const { broker, stop } = await picturesAtFullRate();
    const subscriber = await broker.subscribe(CHANNEL, { mode: 'latest', maxPins: PINS });
    const files = tempDir();
    let overtaken = 0;
    for (let round = 0; round < 15; round += 1) {
      const works: Promise<void>[] = [];
      for (let pin = 0; pin < PINS; pin += 1) {
        const frame = await mustTake(subscriber.take());
        const { sequence } = frame;
        const seen = frame.holdUntil(work(frame.asUint8Array(), files, `${sequence}`));
        frame.release();
        works.push(
          seen.then(async (result) => {
            expect(result.equals(picture(sequence)), `the result of ${name} is of frame ${sequence}`).toBe(true);
            const { newestSequence } = await (await broker.channel(CHANNEL)).info();
            if (newestSequence - sequence > BigInt(SLOTS)) overtaken += 1;
          }),
        );
      }
      await Promise.all(works);
    }
    // Had the frames not been held, their slots would have been rewritten.
    expect(overtaken).toBeGreaterThan(0);
    await subscriber.close();
    await stop();
  });
});

describe('a frame that is released while libraries work on it', () => {
  it.each([
    { unmap: false, what: 'and rewritten by its publisher' },
    { unmap: true, what: 'and unmapped with its subscription' },
  ])('$what costs wrong results at most, never the process', async ({ unmap }) => {
    const { runtimeDir, broker, stop } = await picturesAtFullRate();
    const worker = startWorker('library-early', [runtimeDir, tempDir()]);
    const rounds = 15;
    const count = await worker.ask<{ right: number; wrong: number; failed: number }>({ rounds, unmap });
    expect(count.right + count.wrong + count.failed).toBe(rounds * Object.keys(LIBRARIES).length);
    // Else nothing was shown: every library was done before its memory was taken.
    expect(count.wrong + count.failed).toBeGreaterThan(0);
    await expect(broker.info()).resolves.toMatchObject({ draining: false });
    await stop();
  });
});
