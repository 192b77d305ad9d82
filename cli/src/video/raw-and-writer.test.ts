import { PassThrough, Readable, Writable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { streamSource } from './byte-source.ts';
import { OutputClosedError } from './errors.ts';
import { frameFormatFromRaw, videoHeaderFromFrameFormat } from './frame-format.ts';
import { Pacer, type PacerClock } from './pacer.ts';
import { parseFrameRate, parseRawFormat, RawReader, rawLayout } from './raw-reader.ts';
import { RawWriter, Y4mWriter } from './video-writer.ts';

describe('raw video', () => {
  it.each([
    ['RGBA', 17 * 4, 17 * 13 * 4],
    ['RGB3', 17 * 3, 17 * 13 * 3],
    ['YUYV', 36, 36 * 13],
    ['NV12', 17, 17 * 13 + 18 * 7],
    ['P010', 34, 2 * (17 * 13 + 18 * 7)],
    ['YU12', 17, 17 * 13 + 2 * 9 * 7],
    ['I420', 17, 17 * 13 + 2 * 9 * 7],
    ['S210', 34, 2 * (17 * 13 + 2 * 9 * 13)],
    ['GREY', 17, 17 * 13],
  ])('%s has rows of %i bytes and frames of %i at 17×13', (fourcc, strideBytes, frameBytes) => {
    expect(rawLayout(fourcc, 17, 13)).toEqual({ strideBytes, frameBytes });
  });

  it('options become a format', () => {
    expect(parseRawFormat('1920x1080', 'R8', '29.97')).toEqual({
      fourcc: 'R8  ',
      width: 1920,
      height: 1080,
      frameRate: { numerator: 2997, denominator: 100 },
    });
    expect(parseFrameRate('30000/1001')).toEqual({ numerator: 30_000, denominator: 1_001 });
    expect(frameFormatFromRaw(parseRawFormat('2x2', 'RGBA', null))).toMatchObject({ fourcc: 'RGBA', strideBytes: 8 });
    expect(videoHeaderFromFrameFormat(frameFormatFromRaw(parseRawFormat('3x3', 'YU12', '25')))?.colorSpace).toBe('420');
  });

  it.each([
    ['0x5', 'RGBA', '25'],
    ['5', 'RGBA', '25'],
    ['9999999x9', 'RGBA', '25'],
    ['5x5', 'toString', '25'],
    ['5x5', 'Y4MX', '25'],
    ['5x5', '', '25'],
    ['5x5', 'RGBA', '0'],
    ['5x5', 'RGBA', '1/0'],
    ['5x5', 'RGBA', 'fast'],
  ])('--raw %s --fourcc %s --fps %s is refused', (size, fourcc, fps) => {
    expect(() => parseRawFormat(size, fourcc, fps)).toThrow(RangeError);
  });

  it('whole frames are read, and a piece of one is an error', async () => {
    const source = streamSource(Readable.from([Buffer.alloc(20, 1), Buffer.alloc(16, 2)]));
    const reader = new RawReader(source, parseRawFormat('2x2', 'RGBA', null));
    const picture = new Uint8Array(16);
    expect(await reader.readFrame(picture)).toEqual({ bytes: 16, frameParameters: '' });
    expect(await reader.readFrame(picture)).not.toBeNull();
    expect([...picture.subarray(0, 5)]).toEqual([1, 1, 1, 1, 2]);
    await expect(reader.readFrame(picture)).rejects.toMatchObject({ completeFrames: 2, missingBytes: 12 });
  });
});

describe('a video writer', () => {
  const picture = new Uint8Array(64);

  it('settles a frame only when the sink has taken it, and passes the very memory on', async () => {
    const callbacks: (() => void)[] = [];
    const chunks: Uint8Array[] = [];
    const sink = new Writable({
      write(chunk: Uint8Array, _encoding, callback) {
        chunks.push(chunk);
        callbacks.push(callback);
      },
    });
    const settled = new RawWriter(sink).writeFrame(picture).then(() => 'settled');
    const turn = new Promise((resolve) => setImmediate(resolve, 'waiting'));
    expect(chunks[0]?.buffer).toBe(picture.buffer);
    expect(await Promise.race([settled, turn])).toBe('waiting');
    callbacks[0]?.();
    expect(await settled).toBe('settled');
  });

  it.each(['EPIPE', 'ECONNRESET'])(
    'a reader that went away (%s) is an OutputClosedError, now and later',
    async (code) => {
      const sink = new Writable({
        write: (_chunk, _encoding, callback) => callback(Object.assign(new Error(code), { code })),
      });
      const writer = new Y4mWriter(sink);
      await expect(writer.writeFrame(picture)).rejects.toBeInstanceOf(OutputClosedError);
      await expect(writer.writeFrame(picture)).rejects.toBeInstanceOf(OutputClosedError);
      await expect(writer.end()).rejects.toBeInstanceOf(OutputClosedError);
    },
  );

  it('any other failure stays what it is', async () => {
    const full = Object.assign(new Error('no space left'), { code: 'ENOSPC' });
    const sink = new Writable({ write: (_chunk, _encoding, callback) => callback(full) });
    await expect(new RawWriter(sink).writeFrame(picture)).rejects.toBe(full);
  });

  it('refuses frame parameters that would break the stream', async () => {
    const writer = new Y4mWriter(new PassThrough());
    await expect(writer.writeFrame(picture, 'I\nFRAME')).rejects.toThrow('has no place');
    await expect(writer.writeFrame(picture, 'x'.repeat(200))).rejects.toThrow('too long');
  });
});

describe('the pacer', () => {
  /** Time passes only in sleeps, and every one of them is late. */
  function lateClock(lateNs: bigint): PacerClock & { now: bigint } {
    const clock = {
      now: 5_000n,
      nowNs: () => clock.now,
      async sleep(durationMs: number) {
        clock.now += BigInt(durationMs) * 1_000_000n + lateNs;
      },
    };
    return clock;
  }

  it('does not drift: after 6,000 late timers frame 6,000 is late once', async () => {
    const clock = lateClock(700_000n);
    const pacer = new Pacer({ numerator: 60_000, denominator: 1_001 }, { clock });
    for (let frame = 0; frame <= 6_000; frame += 1) await pacer.next();
    const dueNs = 5_000n + 100_100_000_000n;
    expect(clock.now).toBeGreaterThanOrEqual(dueNs);
    expect(clock.now - dueNs).toBeLessThan(2_000_000n);
  });

  it('catches up after a short pause and starts anew after a long one', async () => {
    const clock = lateClock(0n);
    const pacer = new Pacer({ numerator: 10, denominator: 1 }, { clock, catchUpMsMax: 1_000 });
    await pacer.next();
    clock.now += 500_000_000n;
    for (let frame = 1; frame <= 5; frame += 1) await pacer.next();
    expect(clock.now).toBe(500_005_000n);
    clock.now += 60_000_000_000n;
    await pacer.next();
    expect(pacer.restarts).toBe(1);
    const restartedAt = clock.now;
    await pacer.next();
    expect(clock.now - restartedAt).toBe(100_000_000n);
  });

  it('ends with the reason of its signal, while it waits and before', async () => {
    const controller = new AbortController();
    const pacer = new Pacer({ numerator: 1, denominator: 3_600 }, { signal: controller.signal });
    await pacer.next();
    const waiting = pacer.next();
    controller.abort(new Error('enough'));
    await expect(waiting).rejects.toThrow('enough');
    await expect(pacer.next()).rejects.toThrow('enough');
  });

  it.each([
    [0, 1],
    [1, 0],
    [0, 0],
    [-1, 1],
    [Number.NaN, 1],
  ])('a rate of %d/%d is refused', (numerator, denominator) => {
    expect(() => new Pacer({ numerator, denominator })).toThrow(RangeError);
  });
});
