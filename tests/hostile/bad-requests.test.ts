/** Requests that make no sense now, or never: each has its code, and a message with the numbers that matter. */
import { type Broker, type Channel, connect } from '@leasehold/client';
import { describe, expect, it, onTestFinished } from 'vitest';
import { startBroker } from '../support/broker-process.ts';
import { failureOf } from '../support/failure.ts';

const SMALL = { slotBytes: 1000, slots: 8, pages: 'never' } as const;

async function client(): Promise<Broker> {
  const { runtimeDir } = await startBroker();
  const broker = await connect({ runtimeDir, name: 'bad-requests' });
  onTestFinished(() => broker.close());
  return broker;
}

async function channelOf(options: object = {}): Promise<{ broker: Broker; channel: Channel }> {
  const broker = await client();
  return { broker, channel: await broker.createChannel('c', { ...SMALL, ...options }) };
}

describe('a number out of range', () => {
  const CHANNELS: Record<string, object> = {
    '2 slots': { slots: 2 },
    '1,023 slots': { slots: 1023 },
    '100,000 slots': { slots: 100_000 },
    '-1 slots': { slots: -1 },
    '3.5 slots': { slots: 3.5 },
    '129 participants': { maxParticipants: 129 },
    '-1 participants': { maxParticipants: -1 },
    '7 loans of 8 slots': { maxLoans: 7 },
    'a wait of 2^31 ms': { blockTimeoutMs: 2 ** 31 },
    'a first sequence of 2^52': { firstSequence: 2n ** 52n },
    'a first sequence of -1': { firstSequence: -1n },
  };

  it('is INVALID_ARGUMENT, and nothing is created', async () => {
    const broker = await client();
    for (const [what, options] of Object.entries(CHANNELS)) {
      const error = await failureOf(() => broker.createChannel('c', { ...SMALL, ...options }), what);
      expect(error.code, what).toBe('INVALID_ARGUMENT');
    }
    for (const maxParticipants of [129, -1, 1.5, 2 ** 32]) {
      const error = await failureOf(
        () => broker.createMapping('m', { sizeBytes: 1, maxParticipants }),
        `${maxParticipants}`,
      );
      expect(error.code, `${maxParticipants} participants`).toBe('INVALID_ARGUMENT');
    }
    expect(await broker.listMappings()).toEqual([]);
    expect((await broker.info()).memoryChargedBytes).toBe(0);
  });

  it('names the field and the range when the broker refuses it', async () => {
    const broker = await client();
    const slots = await failureOf(() => broker.createChannel('c', { ...SMALL, slots: 2 }));
    expect(slots).toMatchObject({ message: expect.stringMatching(/slots.*2.*3.*1022/), metadata: { field: 'slots' } });
    const crowd = await failureOf(() => broker.createMapping('m', { sizeBytes: 1, maxParticipants: 129 }));
    expect(crowd).toMatchObject({ message: expect.stringMatching(/max_participants.*129.*1.*128/) });
  });

  it('is INVALID_ARGUMENT in a subscription too', async () => {
    const { broker } = await channelOf();
    for (const options of [{ maxPins: 0 }, { maxPins: -1 }, { maxPins: 1.5 }, { history: -1 }, { maxPins: 2 ** 32 }]) {
      const error = await failureOf(() => broker.subscribe('c', options), JSON.stringify(options));
      expect(error.code, JSON.stringify(options)).toBe('INVALID_ARGUMENT');
    }
  });
});

describe('what does not exist', () => {
  it('is not found, by name, and the message has the name', async () => {
    const broker = await client();
    const mapping = await failureOf(() => broker.mapping('nowhere'));
    expect(mapping).toMatchObject({ code: 'MAPPING_NOT_FOUND', message: expect.stringContaining('"nowhere"') });
    const looks = {
      channel: () => broker.channel('nowhere'),
      subscribe: () => broker.subscribe('nowhere'),
      deleteChannel: () => broker.deleteChannel('nowhere'),
    };
    for (const [what, look] of Object.entries(looks)) {
      const error = await failureOf(look, what);
      expect(error).toMatchObject({ code: 'CHANNEL_NOT_FOUND', message: expect.stringContaining('"nowhere"') });
    }
    expect((await failureOf(() => broker.deleteMapping('nowhere'))).code).toBe('MAPPING_NOT_FOUND');
  });

  it('is not found when it was deleted between looking and attaching', async () => {
    const { broker, channel } = await channelOf();
    const mapping = await broker.createMapping('m', { sizeBytes: 100 });
    await mapping.delete();
    await channel.delete();
    expect((await failureOf(() => mapping.attach('write'))).code).toBe('MAPPING_NOT_FOUND');
    expect((await failureOf(() => channel.subscribe())).code).toBe('CHANNEL_NOT_FOUND');
    expect((await failureOf(() => channel.openPublisher())).code).toBe('CHANNEL_NOT_FOUND');
    expect((await failureOf(() => channel.info())).code).toBe('CHANNEL_NOT_FOUND');
  });

  it('is NOT_A_CHANNEL when it is a plain mapping', async () => {
    const broker = await client();
    await broker.createMapping('m', { sizeBytes: 100 });
    const looks = {
      channel: () => broker.channel('m'),
      subscribe: () => broker.subscribe('m'),
      deleteChannel: () => broker.deleteChannel('m'),
      waitForChannel: () => broker.waitForChannel('m'),
    };
    for (const [what, look] of Object.entries(looks)) {
      expect((await failureOf(look, what)).code, what).toBe('NOT_A_CHANNEL');
    }
  });
});

describe('what exists already', () => {
  it('cannot be created again, as a mapping or as a channel', async () => {
    const { broker } = await channelOf();
    const channel = await failureOf(() => broker.createChannel('c', SMALL));
    expect(channel).toMatchObject({ code: 'CHANNEL_EXISTS', message: expect.stringContaining('"c"') });
    expect((await failureOf(() => broker.createMapping('c', { sizeBytes: 1 }))).code).toBe('MAPPING_EXISTS');
  });

  it('is opened when it is the same, and SPEC_MISMATCH says what differs when it is not', async () => {
    const { broker } = await channelOf();
    const ifExists = 'open-if-same';
    expect((await broker.createChannel('c', { ...SMALL, ifExists })).created).toBe(false);
    const other = { ...SMALL, slots: 9, overflow: 'block', ifExists } as const;
    const error = await failureOf(() => broker.createChannel('c', other));
    expect(error).toMatchObject({
      code: 'SPEC_MISMATCH',
      message: expect.stringMatching(/slots is 8, asked for 9/),
      metadata: { name: 'c', slots: 'is 8, asked for 9', overflow: 'is "overwrite", asked for "block"' },
    });
    expect(Object.keys(error.metadata).sort()).toEqual(['name', 'overflow', 'slots']);
    expect((await failureOf(() => broker.createMapping('c', { sizeBytes: 8000, ifExists }))).code).toBe(
      'SPEC_MISMATCH',
    );
  });

  it('is one channel when many create it at once', async () => {
    const broker = await client();
    const options = { ...SMALL, slotBytes: 2 ** 20, ifExists: 'open-if-same' } as const;
    const channels = await Promise.all(Array.from({ length: 20 }, () => broker.createChannel('c', options)));
    expect(channels.filter(({ created }) => created).length).toBe(1);
  });

  it('with a publisher takes no second one, if that does not want to wait', async () => {
    const { channel } = await channelOf();
    await channel.openPublisher();
    const error = await failureOf(() => channel.openPublisher({ failIfHeld: true }));
    expect(error).toMatchObject({ code: 'PUBLISHER_EXISTS', retryable: true, message: expect.stringContaining('"c"') });
  });
});

describe('a channel without room', () => {
  it('refuses a subscriber with PINS_EXHAUSTED and every number of the sum', async () => {
    const { broker } = await channelOf({ slots: 6, maxLoans: 2 });
    await broker.subscribe('c', { maxPins: 2 });
    const error = await failureOf(() => broker.subscribe('c', { maxPins: 2 }));
    expect(error).toMatchObject({
      code: 'PINS_EXHAUSTED',
      metadata: { slots: '6', pinsTaken: '2', pinsAsked: '2', maxLoans: '2', slotsNeeded: '7' },
      message: expect.stringMatching(/6 slots; 7 would be needed/),
    });
    await broker.subscribe('c', { maxPins: 1 });
  });

  it('refuses a participant with PARTICIPANTS_EXHAUSTED and their number', async () => {
    const { broker, channel } = await channelOf({ maxParticipants: 1 });
    const publisher = await channel.openPublisher();
    const error = await failureOf(() => broker.subscribe('c'));
    expect(error).toMatchObject({ code: 'PARTICIPANTS_EXHAUSTED', metadata: { maxParticipants: '1' } });
    await publisher.close();
    await broker.subscribe('c');
  });

  it('refuses a loan too many, a payload too large, and metadata too long, and the loan can still be published', async () => {
    const { channel } = await channelOf();
    const publisher = await channel.openPublisher();
    const loan = await publisher.loan();
    expect((await failureOf(() => publisher.tryLoan())).code).toBe('INVALID_STATE');
    for (const payloadBytes of [1001, -1, 0.5, Number.NaN]) {
      expect((await failureOf(() => loan.publish({ payloadBytes }), `${payloadBytes} B`)).code).toBe('FRAME_TOO_LARGE');
    }
    const wrong = [
      { metadata: new Uint8Array(129) },
      { width: -1 },
      { height: 2 ** 31 },
      { strideBytes: 0.5 },
      { capturedNs: -1n },
    ];
    for (const options of wrong) expect((await failureOf(() => loan.publish(options))).code).toBe('INVALID_ARGUMENT');
    expect((await failureOf(() => loan.publish({ fourcc: 'RGBAX' }))).code).toBe('INVALID_FORMAT');
    loan.publish({ payloadBytes: 1000, metadata: new Uint8Array(128) });
    expect(loan.sequence).toBe(1n);
  });
});

describe('a channel that is deleted', () => {
  it('ends its subscribers and its publisher with MAPPING_DELETED, also those that wait', async () => {
    const { broker, channel } = await channelOf();
    const publisher = await channel.openPublisher();
    const standby = failureOf(() => channel.openPublisher());
    const subscriber = await broker.subscribe('c');
    const waiting = subscriber.take().then(
      (frame) => frame?.release(),
      (error: { code: string }) => error.code,
    );
    (await publisher.loan()).publish();
    const loan = await publisher.loan();
    await channel.delete();
    expect((await standby).code).toBe('MAPPING_DELETED');
    // The frame before the end of the channel may have been what it waited for.
    expect([undefined, 'MAPPING_DELETED']).toContain(await waiting);
    for (const use of [() => loan.publish(), () => publisher.tryLoan(), () => publisher.finish()]) {
      expect(await failureOf(use, String(use))).toMatchObject({
        code: 'MAPPING_DELETED',
        message: expect.stringContaining('c was deleted'),
      });
    }
    expect((await failureOf(() => subscriber.take())).code).toBe('MAPPING_DELETED');
    await subscriber.close();
    await publisher.close();
    expect((await broker.info()).memoryChargedBytes).toBe(0);
    expect((await broker.createChannel('c', SMALL)).created).toBe(true);
  });

  it('lets a subscriber read what it holds', async () => {
    const { broker, channel } = await channelOf();
    const publisher = await channel.openPublisher();
    const subscriber = await broker.subscribe('c');
    const loan = await publisher.loan();
    loan.bytes.fill(6);
    loan.publish();
    const frame = await subscriber.take();
    await channel.delete();
    expect(frame?.asUint8Array().every((byte) => byte === 6)).toBe(true);
    frame?.release();
  });
});
