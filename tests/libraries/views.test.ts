/** What JavaScript holds of shared memory, before and after it is let go. */
import {
  type Broker,
  type ChannelOptions,
  connect,
  type Frame,
  type Publisher,
  type Subscriber,
} from '@leasehold/client';
import { describe, expect, it, onTestFinished } from 'vitest';
import { startBroker } from '../support/broker-process.ts';
import { failureOf } from '../support/failure.ts';

const NAME = 'views/channel';

interface Scene {
  readonly broker: Broker;
  readonly publisher: Publisher;
  /** Publishes a frame whose bytes all are `value`. */
  show(value: number): void;
}

async function scene(options: ChannelOptions = {}, views: 'fenced' | 'persistent' = 'fenced'): Promise<Scene> {
  const { runtimeDir } = await startBroker();
  const broker = await connect({ runtimeDir, name: 'views' });
  onTestFinished(() => broker.close());
  const channel = await broker.createChannel(NAME, { slotBytes: 4096, slots: 6, pages: 'never', ...options });
  const publisher = await channel.openPublisher({ views });
  const show = (value: number): void => {
    const loan = publisher.tryLoan();
    if (loan === null) throw new Error('no slot is free');
    loan.bytes.fill(value);
    loan.publish();
  };
  return { broker, publisher, show };
}

function mustTake(subscriber: Subscriber): Frame {
  const frame = subscriber.tryTake();
  if (frame === null) throw new Error('there is no frame');
  return frame;
}

describe('a frame', () => {
  it('has no bytes once it is released, whoever kept them, and a copy made before keeps all', async () => {
    const { broker, show } = await scene();
    const subscriber = await broker.subscribe(NAME);
    show(7);
    const frame = mustTake(subscriber);
    const kept = [frame.bytes, frame.asUint8Array(), frame.asUint8Array().subarray(10, 20)];
    const copy = frame.copy();
    expect(kept.map((bytes) => bytes.length)).toEqual([4096, 4096, 10]);
    frame.release();
    expect(kept.map((bytes) => bytes.length)).toEqual([0, 0, 0]);
    expect([frame.bytes.length, kept[1]?.[0]]).toEqual([0, undefined]);
    expect((await failureOf(() => frame.copy())).code).toBe('CLOSED');
    for (let i = 0; i < 20; i += 1) show(8);
    expect(copy.every((byte) => byte === 7) && copy.length === 4096).toBe(true);
  });

  it('may be released twice, and the second time does nothing to whoever has the slot now', async () => {
    const { broker, show } = await scene({ slots: 3 });
    const subscriber = await broker.subscribe(NAME, { maxPins: 1 });
    show(1);
    const first = mustTake(subscriber);
    first.release();
    show(2);
    const second = mustTake(subscriber);
    first.release();
    for (let i = 0; i < 20; i += 1) show(3);
    expect(second.asUint8Array().every((byte) => byte === 2)).toBe(true);
    expect((await failureOf(() => subscriber.tryTake())).code).toBe('PINS_EXCEEDED');
    second.release();
  });

  it('tells its descriptor after release only if it was looked at before', async () => {
    const { broker, show } = await scene();
    const subscriber = await broker.subscribe(NAME);
    show(1);
    const looked = mustTake(subscriber);
    expect(looked.info.sequence).toBe(1n);
    looked.release();
    expect(looked.info.payloadBytes).toBe(4096);
    show(2);
    const unseen = mustTake(subscriber);
    unseen.release();
    expect(unseen.sequence).toBe(2n);
    expect((await failureOf(() => unseen.info)).code).toBe('CLOSED');
  });

  it('that would be one more than maxPins is refused, until one is released', async () => {
    const { broker, show } = await scene();
    const subscriber = await broker.subscribe(NAME, { maxPins: 2 });
    for (const value of [1, 2, 3]) show(value);
    const first = mustTake(subscriber);
    const second = mustTake(subscriber);
    const refused = await failureOf(() => subscriber.tryTake());
    expect(refused).toMatchObject({
      code: 'PINS_EXCEEDED',
      message: expect.stringMatching(/2 frames.*release.*maxPins/),
    });
    expect((await failureOf(() => subscriber.take())).code).toBe('PINS_EXCEEDED');
    first.release();
    const third = mustTake(subscriber);
    expect(third.asUint8Array()[0]).toBe(3);
    second.release();
    third.release();
  });
});

describe('a subscription with persistent views', () => {
  it('hands out one typed array per slot, which stays readable after release', async () => {
    const { broker, show } = await scene({ slots: 4 });
    const subscriber = await broker.subscribe(NAME, { views: 'persistent', maxPins: 1 });
    const seen = new Set<Uint8Array>();
    for (let value = 1; value <= 12; value += 1) {
      show(value);
      const frame = mustTake(subscriber);
      const bytes = frame.asUint8Array();
      seen.add(bytes);
      frame.release();
      expect([bytes.length, bytes[0]]).toEqual([4096, value]);
    }
    expect(seen.size).toBeLessThanOrEqual(4);
    await subscriber.close();
    expect([...seen].map(({ length }) => length)).toEqual([...seen].map(() => 0));
  });
});

describe('a loan', () => {
  it('has no bytes once it is published or discarded', async () => {
    const { publisher } = await scene();
    const loan = await publisher.loan();
    const published = loan.bytes;
    loan.publish();
    const other = await publisher.loan();
    const discarded = other.bytes;
    other.discard();
    expect([published.length, loan.bytes.length, discarded.length]).toEqual([0, 0, 0]);
    expect((await failureOf(() => loan.publish())).code).toBe('CLOSED');
    other.discard();
  });

  it('keeps its bytes with persistent views', async () => {
    const { publisher } = await scene({}, 'persistent');
    const loan = await publisher.loan();
    loan.publish();
    expect(loan.bytes.length).toBe(4096);
  });
});

const THEFTS = {
  transfer: (buffer: ArrayBuffer) => void buffer.transfer(),
  transferToFixedLength: (buffer: ArrayBuffer) => void buffer.transferToFixedLength(),
};

describe.each([
  ['structuredClone', (buffer: ArrayBuffer) => structuredClone(buffer, { transfer: [buffer] })],
  ['postMessage', (buffer: ArrayBuffer) => new MessageChannel().port1.postMessage(buffer, [buffer])],
] as const)('a transfer of bytes.buffer by %s', (_how, send) => {
  it('is refused by the runtime and takes nothing away', async () => {
    const { broker, publisher, show } = await scene();
    const subscriber = await broker.subscribe(NAME);
    const loan = await publisher.loan();
    expect(() => send(loan.bytes.buffer as ArrayBuffer)).toThrow('Cannot transfer');
    loan.discard();
    show(3);
    const frame = mustTake(subscriber);
    expect(() => send(frame.asUint8Array().buffer as ArrayBuffer)).toThrow('Cannot transfer');
    expect(frame.asUint8Array()[0]).toBe(3);
    frame.release();
    expect(frame.bytes.length).toBe(0);
  });
});

describe.each(Object.entries(THEFTS))('bytes.buffer taken away with %s', (_how, steal) => {
  it('is VIEW_STOLEN when the frame is released, and its slot stays pinned until the subscription is closed', async () => {
    const { broker, publisher, show } = await scene({ slots: 3 });
    const subscriber = await broker.subscribe(NAME, { maxPins: 1 });
    show(1);
    const frame = mustTake(subscriber);
    steal(frame.asUint8Array().buffer as ArrayBuffer);
    const stolen = await failureOf(() => frame.release());
    expect(stolen).toMatchObject({ code: 'VIEW_STOLEN', message: expect.stringContaining('stays pinned') });
    expect((await failureOf(() => subscriber.tryTake())).code).toBe('PINS_EXCEEDED');
    const crowded = await failureOf(() => broker.subscribe(NAME, { maxPins: 1 }));
    expect(crowded).toMatchObject({
      code: 'PINS_EXHAUSTED',
      metadata: { slots: '3', pinsTaken: '1', slotsNeeded: '4' },
    });
    for (let i = 0; i < 20; i += 1) show(2);
    expect(publisher.published).toBe(21);
    await subscriber.close();
    const next = await broker.subscribe(NAME, { maxPins: 1 });
    show(9);
    expect(mustTake(next).asUint8Array()[0]).toBe(9);
  });

  it('is VIEW_STOLEN when the subscription is closed first, and closes it all the same', async () => {
    const { broker, show } = await scene({ slots: 3 });
    const subscriber = await broker.subscribe(NAME, { maxPins: 1 });
    show(1);
    steal(mustTake(subscriber).asUint8Array().buffer as ArrayBuffer);
    expect((await failureOf(() => subscriber.close())).code).toBe('VIEW_STOLEN');
    await broker.subscribe(NAME, { maxPins: 1 });
  });

  it('is VIEW_STOLEN when the loan is published or discarded: nobody sees the frame, and the slot is given up', async () => {
    const { broker, publisher, show } = await scene({ slots: 4 });
    const subscriber = await broker.subscribe(NAME, { maxPins: 1 });
    for (const end of ['publish', 'discard'] as const) {
      const loan = await publisher.loan();
      steal(loan.bytes.buffer as ArrayBuffer);
      expect((await failureOf(() => loan[end]())).code).toBe('VIEW_STOLEN');
    }
    expect(subscriber.tryTake()).toBe(null);
    show(5);
    const frame = mustTake(subscriber);
    expect([frame.sequence, frame.asUint8Array()[0]]).toEqual([1n, 5]);
    // Of four slots two are given up and one is pinned.
    show(6);
    show(7);
    const last = await publisher.loan();
    steal(last.bytes.buffer as ArrayBuffer);
    expect((await failureOf(() => last.publish())).code).toBe('VIEW_STOLEN');
    expect(publisher.tryLoan()).toBe(null);
    frame.release();
    show(8);
  });
});

describe('a stolen frame', () => {
  it('never shows its thief another frame', async () => {
    const { broker, show } = await scene({ slots: 3 });
    const subscriber = await broker.subscribe(NAME, { maxPins: 1 });
    show(1);
    const frame = mustTake(subscriber);
    const stolen = new Uint8Array((frame.asUint8Array().buffer as ArrayBuffer).transfer());
    expect((await failureOf(() => frame.release())).code).toBe('VIEW_STOLEN');
    for (let i = 0; i < 20; i += 1) show(2);
    expect(stolen.every((byte) => byte === 1)).toBe(true);
    await subscriber.close();
    expect(stolen.every((byte) => byte === 0)).toBe(true);
  });
});

describe('closing a subscription', () => {
  it('waits for what holdUntil waits for, and leaves the bytes until then', async () => {
    const { broker, show } = await scene();
    const subscriber = await broker.subscribe(NAME);
    show(4);
    const frame = mustTake(subscriber);
    const work = Promise.withResolvers<string>();
    const held = frame.holdUntil(work.promise);
    let closed = false;
    const closing = subscriber.close().then(() => {
      closed = true;
    });
    // An exchange with the broker takes longer than a close that does not wait.
    await broker.info();
    await broker.info();
    expect([closed, frame.bytes.length, frame.asUint8Array()[0]]).toEqual([false, 4096, 4]);
    expect((await failureOf(() => subscriber.tryTake())).code).toBe('CLOSED');
    work.resolve('done');
    expect(await held).toBe('done');
    await closing;
    expect([closed, frame.bytes.length]).toEqual([true, 0]);
  });

  it('goes on when the held promise fails, which its caller is told', async () => {
    const { broker, show } = await scene();
    const subscriber = await broker.subscribe(NAME);
    show(4);
    const frame = mustTake(subscriber);
    const work = Promise.withResolvers<void>();
    const held = frame.holdUntil(work.promise);
    const closing = broker.close();
    work.reject(new Error('the library failed'));
    await expect(held).rejects.toThrow('the library failed');
    await closing;
    expect(frame.bytes.length).toBe(0);
  });

  it.each(['park', 'yield', 'spin', 'adaptive'] as const)('ends an iteration that waits by %s', async (wait) => {
    const { broker, show } = await scene();
    const subscriber = await broker.subscribe(NAME, { wait });
    show(1);
    const values: (number | undefined)[] = [];
    const iterated = (async () => {
      for await (using frame of subscriber) values.push(frame.asUint8Array()[0]);
    })();
    await broker.info();
    await subscriber.close();
    await iterated;
    expect(values).toEqual([1]);
    expect((await failureOf(() => subscriber.take())).code).toBe('CLOSED');
    await subscriber.close();
  });
});
