/** Batches that end in the middle: the publisher is closed, the lease lost, the channel deleted. */
import { connect, type Loan } from '@leasehold/client';
import { expect, it } from 'vitest';
import { failureOf } from '../support/failure.ts';
import { sharedBroker } from '../support/shared-broker.ts';

const { runtimeDir } = sharedBroker();

async function open(name: string) {
  const broker = await connect({ runtimeDir });
  const channel = await broker.createChannel(name, { slotBytes: 64, slots: 16, maxLoans: 6 });
  const publisher = await channel.openPublisher();
  const subscriber = await channel.subscribe({ maxPins: 8 });
  return { broker, channel, publisher, subscriber, [Symbol.asyncDispose]: () => broker.close() };
}

it('a publisher that was closed publishes no batch, and says so', async () => {
  await using ends = await open('review/closed');
  const loans = ends.publisher.tryLoanMany(2);
  await ends.publisher.close();
  expect((await failureOf(() => ends.publisher.publishMany(loans))).code).toBe('CLOSED');
  expect((await failureOf(() => ends.publisher.publishMany([]))).code).toBe('CLOSED');
});

it('a publisher that is closed in the middle of a batch says so, and what it published before is there', async () => {
  await using ends = await open('review/closing');
  const { publisher, subscriber } = ends;
  const loans = publisher.tryLoanMany(2);
  const closing = {
    get payloadBytes() {
      void publisher.close();
      return 1;
    },
  };
  expect((await failureOf(() => publisher.publishMany(loans, [undefined, closing]))).code).toBe('CLOSED');
  expect(subscriber.tryTakeMany(8).length).toBe(1);
});

it('frames that were taken before a channel was found deleted are given, and only then is it said', async () => {
  await using ends = await open('review/deleted');
  const { publisher, subscriber, broker } = ends;
  const loans: Loan[] = publisher.tryLoanMany(3);
  publisher.publishMany(loans);
  await broker.deleteChannel('review/deleted');
  const frames = subscriber.tryTakeMany(8);
  expect(frames.map(({ sequence }) => sequence)).toEqual([1n, 2n, 3n]);
  expect((await failureOf(() => subscriber.tryTakeMany(8))).code).toBe('MAPPING_DELETED');
});
