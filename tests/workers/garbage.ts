/**
 * Publishes and takes frames in one process, and counts the garbage collections meanwhile: `node garbage.ts VIEWS FRAMES`. Says so in one line of
 * JSON. What is compiled and made once is behind it before it counts.
 */
import { PerformanceObserver } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect, type ViewMode } from '@leasehold/client';

const WARM_UP = 300_000;
const [views, frames] = process.argv.slice(2) as [ViewMode, string];

await using broker = await connect();
const channel = await broker.createChannel(`garbage/${views}`, { slotBytes: 64, slots: 8 });
await using publisher = await channel.openPublisher({ views });
await using subscriber = await channel.subscribe({ views });

function exchange(count: number): void {
  for (let frame = 0; frame < count; frame += 1) {
    const loan = publisher.tryLoan();
    if (loan === null) throw new Error('no slot');
    loan.bytes[0] = frame;
    loan.publish();
    const taken = subscriber.tryTake();
    if (taken === null || taken.bytes[0] !== (frame & 0xff)) throw new Error(`frame ${frame} is not there`);
    taken.release();
  }
}

const collectionsMs: number[] = [];
const observer = new PerformanceObserver((list) => {
  collectionsMs.push(...list.getEntries().map(({ startTime }) => startTime));
});
observer.observe({ entryTypes: ['gc'] });
for (let round = 0; round < 5; round += 1) {
  exchange(WARM_UP / 5);
  await sleep(20);
}
const beganMs = performance.now();
exchange(Number(frames));
const endedMs = performance.now();
await sleep(50);
const collections = collectionsMs.filter((atMs) => atMs >= beganMs && atMs <= endedMs).length;
process.stdout.write(`${JSON.stringify({ collections, nsPerFrame: ((endedMs - beganMs) * 1e6) / Number(frames) })}\n`);
