/** Channels over a real broker: the queue of publishers, the admission of subscribers, and who may see whose page. */
import { BlockBound, Lifetime, Overflow } from '@leasehold/proto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { closeAll, createChannel, publish, subscribe, useTestBroker } from '../testing/fixture.ts';

const { client } = useTestBroker({ beforeEach, afterEach });

describe('a channel', () => {
  it('promotes one publisher at a time, with tokens that rise and word of how the last one left', async () => {
    const [first, second] = [await client(), await client()];
    await createChannel(first, 'c', { lifetime: Lifetime.PERSISTENT });
    const leader = publish(first, 'c');
    const opened = await leader.next();
    expect(opened?.case).toBe('opened');
    const promoted = await leader.next();
    expect(promoted).toMatchObject({ case: 'promoted', value: { previousOwnerDied: false } });
    await expect(publish(second, 'c', true).next()).rejects.toMatchObject({ code: 'PUBLISHER_EXISTS' });
    const standby = publish(second, 'c');
    expect((await standby.next())?.case).toBe('opened');
    expect(await standby.next()).toMatchObject({ case: 'queued', value: { position: 1 } });
    first.attach.close();
    const takeover = await standby.next();
    expect(takeover).toMatchObject({ case: 'promoted', value: { previousOwnerDied: true } });
    if (promoted?.case !== 'promoted' || takeover?.case !== 'promoted') throw new Error('unreachable');
    expect(takeover.value.fencingToken).toBeGreaterThan(promoted.value.fencingToken);
    expect(promoted.value.fencingToken >> 48n).toBe(7n);
    await standby.cancel();
  });

  it('ends the stream of a publisher that detaches, and calls that no death', async () => {
    const [first, second] = [await client(), await client()];
    await createChannel(first, 'c', { lifetime: Lifetime.PERSISTENT });
    const leader = publish(first, 'c');
    const opened = await leader.next();
    await leader.next();
    const standby = publish(second, 'c');
    await standby.next();
    await standby.next();
    const attachmentId = opened?.case === 'opened' ? opened.value.attachment?.attachmentId : undefined;
    await first.mappings.detachMapping({ attachmentId: attachmentId ?? 0n }, first.options);
    expect(await leader.next()).toBeNull();
    expect(await standby.next()).toMatchObject({ case: 'promoted', value: { previousOwnerDied: false } });
    await standby.cancel();
  });

  it('admits subscribers as long as their pins fit, and says the numbers when not', async () => {
    const me = await client();
    await createChannel(me, 'c', { slots: 6 });
    await subscribe(me, 'c', 2);
    await subscribe(me, 'c', 2);
    await expect(subscribe(me, 'c', 1)).rejects.toMatchObject({
      code: 'PINS_EXHAUSTED',
      metadata: { slots: '6', pinsTaken: '4', pinsAsked: '1', slotsNeeded: '7' },
    });
  });

  it('computes a slot from its format and refuses one that is too small', async () => {
    const me = await client();
    const format = { fourcc: 'RGBA', width: 10, height: 10 };
    const { channel } = await createChannel(me, 'c', { format, slotBytes: 0n });
    expect(channel?.spec?.slotBytes).toBe(400n);
    await expect(createChannel(me, 'd', { format, slotBytes: 399n })).rejects.toMatchObject({
      code: 'INVALID_FORMAT',
      metadata: { neededBytes: '400', slotBytes: '399' },
    });
  });

  it('lets its publisher detach a slow subscriber, whose pins count until it acknowledges', async () => {
    const [publisher, slow] = [await client(), await client()];
    await createChannel(publisher, 'c', { slots: 4, overflow: Overflow.BLOCK, blockBound: BlockBound.DETACH });
    const leader = publish(publisher, 'c');
    await leader.next();
    await leader.next();
    const { mappingId, ticket, participantIndex, participantGeneration } = await subscribe(slow, 'c', 2);
    closeAll((await slow.attach.claim(ticket)).fds);
    const watching = slow.sessions.watchSession({}, slow.options)[Symbol.asyncIterator]();
    const target = { mappingId, participantIndex, participantGeneration };
    await expect(slow.channels.detachSlowSubscriber(target, slow.options)).rejects.toMatchObject({
      code: 'LEASE_LOST',
    });
    await publisher.channels.detachSlowSubscriber(target, publisher.options);
    expect((await watching.next()).value?.event).toMatchObject({
      case: 'subscriberDetached',
      value: { reason: 'SLOW_SUBSCRIBER' },
    });
    await expect(subscribe(publisher, 'c', 1)).rejects.toMatchObject({ code: 'PINS_EXHAUSTED' });
    slow.attach.send({ case: 'detached', value: target });
    // Answered, so that the message before it was handled.
    await slow.attach.ask({ case: 'claim', value: { ticket: new Uint8Array(16) } });
    await expect(subscribe(publisher, 'c', 2)).resolves.toBeDefined();
  });

  it('gives participant pages to its publisher only', async () => {
    const [publisher, subscriber] = [await client(), await client()];
    await createChannel(publisher, 'c');
    const leader = publish(publisher, 'c');
    const opened = await leader.next();
    const attachment = opened?.case === 'opened' ? opened.value.attachment : undefined;
    closeAll((await publisher.attach.claim(attachment?.ticket ?? new Uint8Array())).fds);
    const joined = await subscribe(subscriber, 'c');
    closeAll((await subscriber.attach.claim(joined.ticket)).fds);
    const value = { mappingId: joined.mappingId, participantIndices: [joined.participantIndex, 99] };
    const { said, fds } = await publisher.attach.ask({ case: 'claimPages', value });
    expect(said).toMatchObject({
      case: 'grant',
      value: { roles: [{ participantIndex: joined.participantIndex, participantGeneration: 1 }] },
    });
    expect(fds).toHaveLength(1);
    closeAll(fds);
    const refusal = await subscriber.attach.ask({ case: 'claimPages', value });
    expect(refusal.said).toMatchObject({ case: 'refused', value: { reason: 'ATTACHMENT_NOT_FOUND' } });
    expect(refusal.fds).toHaveLength(0);
  });
});
