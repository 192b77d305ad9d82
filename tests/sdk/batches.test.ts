/** Several frames at once: lent, published, taken. */
import { connect, type Loan } from '@leasehold/client';
import { expect, it } from 'vitest';
import { failureOf } from '../support/failure.ts';
import { sharedBroker } from '../support/shared-broker.ts';

const { runtimeDir } = sharedBroker();

async function open(name: string, options: { overflow?: 'block' | 'overwrite'; views?: 'fenced' | 'persistent' } = {}) {
  const broker = await connect({ runtimeDir });
  const { overflow = 'overwrite', views = 'fenced' } = options;
  const channel = await broker.createChannel(name, { slotBytes: 64, slots: 16, maxLoans: 6, overflow });
  const publisher = await channel.openPublisher({ views });
  const subscriber = await channel.subscribe({ maxPins: 4, views });
  return { publisher, subscriber, [Symbol.asyncDispose]: () => broker.close() };
}

function fill(loans: readonly Loan[], from: number): void {
  for (const [place, loan] of loans.entries()) loan.bytes[0] = from + place;
}

it.each(['fenced', 'persistent'] as const)(
  'frames published together are taken together, in order (%s)',
  async (views) => {
    await using ends = await open(`batch/${views}`, { views });
    const { publisher, subscriber } = ends;
    for (let round = 0; round < 20; round += 1) {
      const loans = publisher.tryLoanMany(4);
      fill(loans, 4 * round);
      publisher.publishMany(loans);
      expect(loans.map(({ sequence }) => Number(sequence))).toEqual([1, 2, 3, 4].map((place) => 4 * round + place));
      const frames = subscriber.tryTakeMany(10);
      expect(frames.map(({ bytes }) => bytes[0])).toEqual([0, 1, 2, 3].map((place) => 4 * round + place));
      const sequences = frames.map(({ sequence }) => sequence);
      expect(sequences).toEqual(loans.map(({ sequence }) => sequence));
      for (const frame of frames) frame.release();
    }
    expect([subscriber.taken, subscriber.lost, subscriber.tryTakeMany(4)]).toEqual([80, 0, []]);
  },
);

it('a batch wakes a subscriber that sleeps, and says of each frame what was said of it', async () => {
  await using ends = await open('batch/asleep');
  const { publisher, subscriber } = ends;
  const taken = subscriber.take();
  const loans = publisher.tryLoanMany(2);
  publisher.publishMany(loans, [{ payloadBytes: 3 }, { payloadBytes: 5, metadata: Uint8Array.of(7) }]);
  using first = await taken;
  using second = subscriber.tryTake();
  expect([first?.bytes.length, second?.bytes.length, second?.info.metadata[0]]).toEqual([3, 5, 7]);
  expect(second?.info.publishedNs).toBe(first?.info.publishedNs);
});

it('no more is lent than maxLoans leaves, nor taken than maxPins does', async () => {
  await using ends = await open('batch/bounds');
  const { publisher, subscriber } = ends;
  const loans = publisher.tryLoanMany(6);
  expect(loans.length).toBe(6);
  expect((await failureOf(() => publisher.tryLoanMany(1))).code).toBe('INVALID_STATE');
  for (const count of [0, -1, 1.5]) {
    expect((await failureOf(() => publisher.tryLoanMany(count))).code).toBe('INVALID_ARGUMENT');
    expect((await failureOf(() => subscriber.tryTakeMany(count))).code).toBe('INVALID_ARGUMENT');
  }
  publisher.publishMany(loans);
  const held = subscriber.tryTakeMany(10);
  expect(held.length).toBe(4);
  expect((await failureOf(() => subscriber.tryTakeMany(1))).code).toBe('PINS_EXCEEDED');
  held[0]?.release();
  expect(subscriber.tryTakeMany(10).length).toBe(1);
});

it('what is refused in the middle of a batch keeps neither those before it from being seen nor those after it from being published', async () => {
  await using ends = await open('batch/refused');
  const { publisher, subscriber } = ends;
  const loans = publisher.tryLoanMany(3);
  fill(loans, 1);
  const refused = await failureOf(() => publisher.publishMany(loans, [undefined, { payloadBytes: 65 }, undefined]));
  expect([refused.code, loans.map(({ sequence }) => sequence)]).toEqual(['FRAME_TOO_LARGE', [1n, null, null]]);
  publisher.publishMany(loans.slice(1));
  expect(subscriber.tryTakeMany(4).map(({ bytes }) => bytes[0])).toEqual([1, 2, 3]);
});

it('a block channel lends as many as have been read, and loses nothing', async () => {
  await using ends = await open('batch/block', { overflow: 'block' });
  const { publisher, subscriber } = ends;
  const read: number[] = [];
  let published = 0;
  while (published < 500) {
    const loans = publisher.tryLoanMany(6);
    fill(loans, 0);
    for (const loan of loans) {
      published += 1;
      loan.bytes[0] = published % 251;
    }
    publisher.publishMany(loans);
    if (published % 3 === 0 || loans.length === 0) {
      for (const frame of subscriber.tryTakeMany(3)) {
        read.push(frame.bytes[0] ?? -1);
        frame.release();
      }
    }
  }
  expect(subscriber.lost).toBe(0);
  expect(read).toEqual(read.map((_, place) => (place + 1) % 251));
  expect(read.length).toBeGreaterThan(400);
});
