/**
 * One process that lends, publishes, takes and releases frame after frame, for a profiler: what our own work costs where no line moves
 * between cores. `npx node tests/bench/one-process.ts [persistent|fenced] [FRAMES]`, with a broker running; under `perf record`, give node
 * `--perf-basic-prof` (docs/PERFORMANCE.md, "What limits each figure").
 */
import { connect, type Publisher, type Subscriber } from '@leasehold/client';

const PAYLOAD_BYTES = 4_096;
const SLOTS = 8;
const ROUNDS = 3;
const NS_PER_MS = 1e6;

const [views = 'persistent', frames = '2000000'] = process.argv.slice(2);
const count = Number(frames);
if ((views !== 'persistent' && views !== 'fenced') || !Number.isInteger(count) || count < 1) {
  throw new Error(`persistent or fenced, and how many frames, not ${views} ${frames}`);
}

function pass(publisher: Publisher, subscriber: Subscriber, frameCount: number): void {
  for (let number = 0; number < frameCount; number += 1) {
    const loan = publisher.tryLoan();
    if (loan === null) throw new Error(`no slot of ${SLOTS} is free`);
    loan.bytes[0] = number;
    loan.publish();
    const frame = subscriber.tryTake();
    if (frame?.bytes[0] !== (number & 0xff)) throw new Error(`frame ${number} did not come`);
    frame.release();
  }
}

await using broker = await connect({ name: 'one-process' });
const channel = await broker.createChannel(`one-process/${process.pid}`, { slotBytes: PAYLOAD_BYTES, slots: SLOTS });
await using publisher = await channel.openPublisher({ views });
await using subscriber = await channel.subscribe({ views });
pass(publisher, subscriber, Math.ceil(count / 10));
for (let round = 0; round < ROUNDS; round += 1) {
  const startedMs = performance.now();
  pass(publisher, subscriber, count);
  const tookMs = performance.now() - startedMs;
  console.log(
    `${views}: ${((tookMs * NS_PER_MS) / count).toFixed(0)} ns for each frame lent, published, taken and released`,
  );
}
