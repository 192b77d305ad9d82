/** Does everything a client does, again and again. argv: runtime directory. */
import { type Broker, connect } from '@leasehold/client';
import { settledMemory } from '../leaks/settled-memory.ts';
import { serveQuestions } from '../support/worker-side.ts';

const [, , runtimeDir = ''] = process.argv;
let cycles = 0;

/** Create, write, read after that by the broker’s leave, give back. The mapping goes as the channel does. */
async function oneMapping(broker: Broker, deleted: boolean): Promise<void> {
  const mapping = await broker.createMapping(`leak/mapping/${cycles}`, { sizeBytes: 4096, pages: 'never' });
  const writer = await mapping.lease('exclusive');
  writer.bytes[0] = cycles & 0xff;
  const reading = mapping.lease('shared');
  writer.release();
  const reader = await reading;
  if (reader.bytes[0] !== (cycles & 0xff)) throw new Error(`cycle ${cycles} read another value`);
  reader.release();
  if (deleted) await mapping.delete();
}

/** Create, attach on both sides, publish, take, close. The channel goes with its session, or, if that goes on, by `delete`. */
async function oneChannel(broker: Broker, deleted: boolean): Promise<void> {
  cycles += 1;
  const channel = await broker.createChannel(`leak/${cycles}`, { slotBytes: 4096, slots: 4, pages: 'never' });
  const subscriber = await channel.subscribe();
  const publisher = await channel.openPublisher();
  const loan = await publisher.loan();
  loan.bytes[0] = cycles & 0xff;
  loan.publish();
  const frame = await subscriber.take();
  if (frame?.asUint8Array()[0] !== (cycles & 0xff)) throw new Error(`cycle ${cycles} took another frame`);
  frame.release();
  await publisher.close();
  await subscriber.close();
  if (deleted) await channel.delete();
}

async function whole(count: number): Promise<void> {
  for (let i = 0; i < count; i += 1) {
    const broker = await connect({ runtimeDir });
    await oneChannel(broker, false);
    await oneMapping(broker, false);
    await broker.close();
  }
}

let kept: Promise<Broker> | null = null;

async function onOneConnection(count: number): Promise<void> {
  kept ??= connect({ runtimeDir });
  const broker = await kept;
  for (let i = 0; i < count; i += 1) {
    await oneChannel(broker, true);
    await oneMapping(broker, true);
  }
}

serveQuestions(async ({ kind, count }: { kind: 'whole' | 'on-one-connection'; count: number }) => {
  if (kind === 'whole') await whole(count);
  else await onOneConnection(count);
  return settledMemory();
});
