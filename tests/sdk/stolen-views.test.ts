/** Persistent views of which somebody took the memory away. */
import { connect } from '@leasehold/client';
import { expect, it } from 'vitest';
import { failureOf } from '../support/failure.ts';
import { sharedBroker } from '../support/shared-broker.ts';

const { runtimeDir } = sharedBroker();

it('a persistent frame that was transferred is VIEW_STOLEN at its release, and its slot is never shown to the thief again', async () => {
  await using broker = await connect({ runtimeDir });
  const channel = await broker.createChannel('review/stolen', { slotBytes: 64, slots: 4 });
  await using publisher = await channel.openPublisher({ views: 'persistent' });
  const subscriber = await channel.subscribe({ maxPins: 1, views: 'persistent' });
  publisher.tryLoan()?.publish();
  const frame = await subscriber.take();
  if (frame === null) throw new Error('there is no frame');
  const thief = new Uint8Array((frame.asUint8Array().buffer as ArrayBuffer).transfer());
  expect((await failureOf(() => frame.release())).code).toBe('VIEW_STOLEN');
  for (let value = 1; value <= 20; value += 1) {
    const loan = publisher.tryLoan();
    loan?.bytes.fill(value);
    loan?.publish();
  }
  expect([publisher.published, thief[0]]).toEqual([21, 0]);
  await subscriber.close();
});
