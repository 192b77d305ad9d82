/** Streams that are over before somebody looks. */
import { connect } from '@leasehold/client';
import { expect, it } from 'vitest';
import { sharedBroker } from '../support/shared-broker.ts';

const { runtimeDir } = sharedBroker();

it('a subscriber that joins after the end of a stream ends when its channel goes, and so does one that waits', async () => {
  await using reader = await connect({ runtimeDir });
  const writer = await connect({ runtimeDir });
  const channel = await writer.createChannel('short', { slotBytes: 64, slots: 8 });
  const publisher = await channel.openPublisher();
  await using early = await reader.subscribe('short');
  (await publisher.loan()).publish();
  await publisher.finish();
  await using late = await reader.subscribe('short');
  const ended = late.take();
  await writer.close();
  expect(await ended).toBeNull();
  using frame = await early.take();
  expect(frame?.sequence).toBe(1n);
  expect(await early.take()).toBeNull();
  await expect(reader.channel('short')).rejects.toMatchObject({ code: 'CHANNEL_NOT_FOUND' });
});

it('a channel stays for whoever opened it while it was there, though its creator leaves', async () => {
  const first = await connect({ runtimeDir });
  await using second = await connect({ runtimeDir });
  const options = { slotBytes: 64, slots: 8, ifExists: 'open-if-same' } as const;
  await first.createChannel('handed-over', options);
  const channel = await second.createChannel('handed-over', options);
  expect(channel.created).toBe(false);
  await first.close();
  await using publisher = await channel.openPublisher();
  const loan = publisher.tryLoan();
  loan?.publish();
  expect(loan?.sequence).toBe(1n);
});
