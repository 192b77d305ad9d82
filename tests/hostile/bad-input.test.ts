/** What users get wrong, over the SDK: each mistake has its code, and the message says what to do. Nothing of it costs memory. */
import { type Broker, type ChannelOptions, connect, type FrameFormat } from '@leasehold/client';
import { describe, expect, it, onTestFinished } from 'vitest';
import { startBroker } from '../support/broker-process.ts';
import { failureOf } from '../support/failure.ts';

const SMALL = { slotBytes: 1000, slots: 8, pages: 'never' } as const;
const PETABYTE = 2 ** 50;

async function client(args: readonly string[] = []): Promise<Broker> {
  const { runtimeDir } = await startBroker(args);
  const broker = await connect({ runtimeDir, name: 'bad-input' });
  onTestFinished(() => broker.close());
  return broker;
}

const chargedBytes = async (broker: Broker): Promise<number> => (await broker.info()).memoryChargedBytes;

const BAD_NAMES = [
  '',
  'x'.repeat(201),
  '/',
  'a//b',
  '/a',
  'a/',
  '..',
  '.',
  'a/../b',
  './a',
  'a b',
  'café',
  '🎥',
  'a\0b',
  'a\nb',
  '\ud800',
  'a\\b',
  'a:b',
];

describe('a bad name', () => {
  it('is INVALID_NAME wherever something is created, and the message has the rule', async () => {
    const broker = await client();
    for (const name of BAD_NAMES) {
      const creations = [() => broker.createMapping(name, { sizeBytes: 1 }), () => broker.createChannel(name, SMALL)];
      for (const create of creations) {
        const error = await failureOf(create, JSON.stringify(name));
        expect(error, JSON.stringify(name)).toMatchObject({ code: 'INVALID_NAME', retryable: false });
        expect(error.message).toContain('Names are 1 to 200 characters of A-Z a-z 0-9 . _ -');
      }
    }
    const longest = 'x'.repeat(200);
    expect((await broker.createMapping(longest, { sizeBytes: 1 })).name).toBe(longest);
    expect((await broker.listMappings()).map(({ name }) => name)).toEqual([longest]);
  });

  it('is an error, never a wait, wherever something is looked for', async () => {
    const broker = await client();
    for (const name of BAD_NAMES) {
      const searches = [
        () => broker.mapping(name),
        () => broker.channel(name),
        () => broker.subscribe(name),
        () => broker.deleteMapping(name),
        () => broker.deleteChannel(name),
        () => broker.waitForChannel(name),
      ];
      for (const search of searches) {
        expect((await failureOf(search, JSON.stringify(name))).code).toMatch(
          /^(INVALID_NAME|MAPPING_NOT_FOUND|CHANNEL_NOT_FOUND)$/,
        );
      }
    }
  });
});

describe('a size', () => {
  const BAD_SIZES = [0, -1, -4096, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53, 2 ** 60, 2 ** 52];

  it('that no mapping can have is INVALID_SIZE', async () => {
    const broker = await client();
    for (const sizeBytes of BAD_SIZES) {
      const error = await failureOf(() => broker.createMapping('m', { sizeBytes }), `${sizeBytes} B`);
      expect(error, `${sizeBytes} B`).toMatchObject({ code: 'INVALID_SIZE', message: expect.stringContaining('size') });
    }
    for (const slotBytes of [...BAD_SIZES, Number.MAX_SAFE_INTEGER]) {
      const error = await failureOf(
        () => broker.createChannel('c', { ...SMALL, slotBytes }),
        `slots of ${slotBytes} B`,
      );
      expect(error, `slots of ${slotBytes} B`).toMatchObject({ code: 'INVALID_SIZE' });
    }
    expect(await broker.listMappings()).toEqual([]);
    expect(await chargedBytes(broker)).toBe(0);
  });

  it('larger than the quota is QUOTA_EXCEEDED with the numbers, and costs nothing', async () => {
    const broker = await client(['--memory-quota', '64MiB']);
    for (const sizeBytes of [65 * 2 ** 20, PETABYTE]) {
      for (const pages of ['never', 'auto', 'require'] as const) {
        const error = await failureOf(
          () => broker.createMapping('m', { sizeBytes, pages }),
          `${sizeBytes} B, ${pages}`,
        );
        // Large pages are looked for first, and there may be none.
        expect(error.code, `${sizeBytes} B, ${pages}`).toMatch(
          pages === 'require' ? /^(QUOTA_EXCEEDED|LARGE_PAGES_UNAVAILABLE)$/ : /^QUOTA_EXCEEDED$/,
        );
        if (error.code === 'QUOTA_EXCEEDED') {
          expect(error.metadata).toMatchObject({
            quota: 'bytes',
            whose: 'broker',
            used: '0',
            limit: `${64 * 2 ** 20}`,
          });
        }
      }
    }
    const channel = await failureOf(() =>
      broker.createChannel('c', { slotBytes: 2 ** 30, slots: 1022, pages: 'never' }),
    );
    expect(channel.code).toBe('QUOTA_EXCEEDED');
    expect(await chargedBytes(broker)).toBe(0);
    await broker.createMapping('m', { sizeBytes: 2 ** 20, pages: 'never' });
  });

  it('larger than the machine is OUT_OF_MEMORY with the numbers, and costs nothing', async () => {
    const broker = await client(['--memory-quota', '4096TiB']);
    const error = await failureOf(() => broker.createMapping('m', { sizeBytes: PETABYTE, pages: 'never' }));
    expect(error).toMatchObject({
      code: 'OUT_OF_MEMORY',
      retryable: true,
      metadata: { requestedBytes: `${PETABYTE}` },
    });
    expect(Number(error.metadata.availableBytes)).toBeLessThan(PETABYTE);
    expect(await chargedBytes(broker)).toBe(0);
    await broker.createMapping('m', { sizeBytes: 2 ** 20, pages: 'never' });
  });
});

describe('a format', () => {
  const RGBA: FrameFormat = { fourcc: 'RGBA', width: 64, height: 48 };
  const attributes = (count: number, key = 'k', value = 'v') =>
    Object.fromEntries(Array.from({ length: count }, (_, i) => [`${key}${i}`, value]));
  const BAD: Record<string, ChannelOptions> = {
    'a slot smaller than its picture': { format: RGBA, slotBytes: 64 * 48 * 4 - 1 },
    'a stride shorter than a row': { format: { ...RGBA, strideBytes: 255 } },
    'a planar picture in too small a slot': { format: { fourcc: 'YU12', width: 65, height: 49 }, slotBytes: 65 * 49 },
    'a width without a height': { format: { ...RGBA, height: 0 } },
    'three characters': { format: { ...RGBA, fourcc: 'RGB' } },
    'a fourcc that is not printable': { format: { ...RGBA, fourcc: 'RG\nA' } },
    'half a frame rate': { format: { ...RGBA, frameRate: { numerator: 60, denominator: 0 } } },
    '33 attributes': { format: { ...RGBA, attributes: attributes(33) } },
    'an attribute key of 66 B': { format: { ...RGBA, attributes: attributes(1, 'k'.repeat(65)) } },
    'an attribute value of 257 B': { format: { ...RGBA, attributes: attributes(1, 'k', 'v'.repeat(257)) } },
    'a picture of a million pixels across': { format: { ...RGBA, width: 2 ** 20 + 1 } },
    'an unknown fourcc without a slot size': { format: { ...RGBA, fourcc: 'ZZZZ' } },
  };

  it('that contradicts itself, or the size beside it, is INVALID_FORMAT, and the message says how', async () => {
    const broker = await client();
    for (const [what, options] of Object.entries(BAD)) {
      const error = await failureOf(() => broker.createChannel('c', { ...options, slots: 4, pages: 'never' }), what);
      expect(error.code, what).toBe('INVALID_FORMAT');
      expect(error.message, what).toMatch(/^Invalid frame format: .{10,}/);
    }
    expect(await broker.listChannels()).toEqual([]);
  });
});
