/** What closing, aborting, deleting and losing leave behind, at the moments that are easy to forget. */
import { readFileSync } from 'node:fs';
import { type Broker, connect, type LeaseholdError } from '@leasehold/client';
import { describe, expect, it } from 'vitest';
import { sharedBroker } from '../support/shared-broker.ts';

const { runtimeDir } = sharedBroker();

async function channelOf(broker: Broker, name: string, options: Partial<Parameters<Broker['createChannel']>[1]> = {}) {
  return broker.createChannel(name, { slotBytes: 4096, slots: 8, ...options });
}

const memfds = (): number => readFileSync('/proc/self/maps', 'utf8').split('/memfd:leasehold').length - 1;
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('closing a connection', () => {
  it('closes what was just being opened, and no frame that is still held is rewritten', async () => {
    await using other = await connect({ runtimeDir });
    await using publisher = await (await channelOf(other, 'closing/held')).openPublisher();
    const broker = await connect({ runtimeDir });
    const subscriber = await broker.subscribe('closing/held');
    const publish = (value: number): void => {
      using loan = publisher.tryLoan();
      loan?.bytes.fill(value);
      loan?.publish();
    };
    publish(1);
    const frame = await subscriber.take();
    const work = Promise.withResolvers<void>();
    const held = frame?.holdUntil(work.promise);
    const opening = broker.subscribe('closing/held');
    const closed = broker.close();
    await expect(opening).rejects.toMatchObject({ code: 'CLOSED' });
    for (let value = 2; value < 40; value += 1) publish(value);
    expect(frame?.bytes[0]).toBe(1);
    expect(frame?.bytes.length).toBe(4096);
    work.resolve();
    await Promise.all([held, closed]);
    expect(frame?.bytes.length).toBe(0);
  });

  it('ends a standby that waits for its turn', async () => {
    await using other = await connect({ runtimeDir });
    const channel = await channelOf(other, 'closing/standby');
    await using _publisher = await channel.openPublisher();
    const broker = await connect({ runtimeDir });
    const { promise: queued, resolve: onQueued } = Promise.withResolvers<number>();
    const standby = (await broker.channel('closing/standby')).openPublisher({ onQueued });
    const failed = expect(standby).rejects.toMatchObject({ code: 'CLOSED' });
    expect(await queued).toBe(1);
    await broker.close();
    await failed;
  });

  it('ends its leases, and looks no more at the memory that they were in', async () => {
    await using other = await connect({ runtimeDir });
    const mapping = await other.createMapping('closing/leases', { sizeBytes: 4096, persistent: true });
    const broker = await connect({ runtimeDir });
    const lease = await (await broker.mapping('closing/leases')).lease('exclusive');
    expect(lease.bytes.length).toBe(4096);
    await broker.close();
    expect(lease.bytes.length).toBe(0);
    const next = await mapping.lease('exclusive', { waitMs: 0 });
    expect(next.previousOwnerDied).toBe(false);
    next.release();
    await other.deleteMapping('closing/leases');
  });
});

describe('a publisher', () => {
  it('that closes has not lost its lease', async () => {
    await using broker = await connect({ runtimeDir });
    const publisher = await (await channelOf(broker, 'publisher/closes')).openPublisher();
    await publisher.close();
    await turn();
    expect(publisher.lost.aborted).toBe(false);
  });

  it('whose opening is aborted at any step maps nothing any more', async () => {
    await using broker = await connect({ runtimeDir });
    const channel = await channelOf(broker, 'publisher/aborted');
    const before = memfds();
    for (let turns = 0; turns < 30; turns += 1) {
      const controller = new AbortController();
      const opening = channel.openPublisher({ signal: controller.signal });
      for (let each = 0; each < turns; each += 1) await turn();
      controller.abort('enough');
      await opening.then(
        (publisher) => publisher.close(),
        (error: LeaseholdError) => expect(error.code).toBe('ABORTED'),
      );
    }
    await expect.poll(memfds).toBe(before);
  });

  it('publishes nothing after the end of its stream, and ends it once', async () => {
    await using broker = await connect({ runtimeDir });
    await using publisher = await (await channelOf(broker, 'publisher/finish', { maxLoans: 2 })).openPublisher();
    const loan = await publisher.loan();
    await expect(publisher.finish()).rejects.toMatchObject({ code: 'INVALID_STATE' });
    loan.publish();
    await publisher.finish();
    await expect(publisher.finish()).rejects.toMatchObject({ code: 'INVALID_STATE' });
    expect(() => publisher.tryLoan()).toThrow(expect.objectContaining({ code: 'INVALID_STATE' }));
  });

  it('may take metadata from the bytes of the loan itself', async () => {
    await using broker = await connect({ runtimeDir });
    const channel = await channelOf(broker, 'publisher/metadata');
    await using publisher = await channel.openPublisher();
    await using subscriber = await channel.subscribe();
    using loan = await publisher.loan();
    loan.bytes.set([7, 8, 9]);
    loan.publish({ metadata: loan.bytes.subarray(0, 3) });
    using frame = await subscriber.take();
    expect([...(frame?.info.metadata ?? [])]).toEqual([7, 8, 9]);
  });
});

describe('a loop that hands frames to slow work', () => {
  it('waits for the work when every frame it may hold is at work', async () => {
    await using broker = await connect({ runtimeDir });
    const channel = await channelOf(broker, 'loop/slow', { overflow: 'block' });
    await using publisher = await channel.openPublisher();
    await using subscriber = await channel.subscribe({ maxPins: 2 });
    const published = (async () => {
      for (let value = 1; value <= 12; value += 1) {
        using loan = await publisher.loan();
        loan.bytes.fill(value);
        loan.publish();
      }
      await publisher.finish();
    })();
    const seen: number[] = [];
    for await (using frame of subscriber) {
      const work = (async () => {
        for (let each = 0; each < 20; each += 1) await turn();
        seen.push(frame.bytes[0] ?? -1);
      })();
      frame.holdUntil(work).catch(() => undefined);
    }
    await published;
    await expect.poll(() => seen.length).toBe(12);
    expect(seen).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
  });

  it('is told when it holds frames that nobody will release', async () => {
    await using broker = await connect({ runtimeDir });
    const channel = await channelOf(broker, 'loop/held');
    await using publisher = await channel.openPublisher();
    await using subscriber = await channel.subscribe({ maxPins: 1 });
    for (let value = 1; value <= 2; value += 1) (await publisher.loan()).publish();
    using _first = await subscriber.take();
    await expect(subscriber.take()).rejects.toMatchObject({ code: 'PINS_EXCEEDED' });
  });
});

describe('a mapping that was deleted and made anew', () => {
  it.each([4096, 65_536])('is not attached by who opened the old one (now %d B)', async (sizeBytes) => {
    await using broker = await connect({ runtimeDir });
    const old = await broker.createMapping('anew', { sizeBytes: 20_000 });
    await old.delete();
    const before = memfds();
    const anew = await broker.createMapping('anew', { sizeBytes });
    await expect(old.attach('read')).rejects.toMatchObject({ code: 'MAPPING_DELETED' });
    expect(memfds()).toBe(before);
    await using attachment = await anew.attach('read');
    expect(attachment.bytes.length).toBe(sizeBytes);
    await anew.delete();
  });
});

describe('bounds of a wait', () => {
  it.each([Number.NaN, -1])('that are no length of time (%d) are refused, everywhere', async (timeoutMs) => {
    await using broker = await connect({ runtimeDir });
    const channel = await channelOf(broker, `bounds/${timeoutMs}`);
    await using publisher = await channel.openPublisher();
    await using subscriber = await channel.subscribe();
    const refused = { code: 'INVALID_ARGUMENT' };
    await expect(connect({ runtimeDir, timeoutMs })).rejects.toMatchObject(refused);
    await expect((async () => broker.info({ timeoutMs }))()).rejects.toMatchObject(refused);
    await expect(subscriber.take({ timeoutMs })).rejects.toMatchObject(refused);
    await expect(publisher.loan({ timeoutMs })).rejects.toMatchObject(refused);
    await expect(channel.subscribe({ timeoutMs })).rejects.toMatchObject(refused);
    await expect(channel.openPublisher({ timeoutMs })).rejects.toMatchObject(refused);
  });

  it('may be longer than a timer, and infinite', async () => {
    await using broker = await connect({ runtimeDir, timeoutMs: Number.POSITIVE_INFINITY });
    const channel = await channelOf(broker, 'bounds/long', {});
    await using publisher = await channel.openPublisher({ timeoutMs: Number.POSITIVE_INFINITY });
    await using subscriber = await channel.subscribe({ timeoutMs: 2 ** 40 });
    const taken = subscriber.take({ timeoutMs: 2 ** 40 });
    (await publisher.loan({ timeoutMs: Number.POSITIVE_INFINITY })).publish();
    using frame = await taken;
    expect(frame?.sequence).toBe(1n);
  });
});

describe('options', () => {
  it.each([
    { slots: 0 },
    { maxLoans: 0 },
    { blockTimeoutMs: 0 },
    { overflow: 'sometimes' as 'block' },
    { ifExists: 'maybe' as 'fail' },
    { pages: 'huge' as 'auto' },
  ])('that mean nothing are refused, not replaced: %o', async (options) => {
    await using broker = await connect({ runtimeDir });
    await expect(channelOf(broker, 'options', options)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  });
});
