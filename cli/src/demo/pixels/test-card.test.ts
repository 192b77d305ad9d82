import { describe, expect, it } from 'vitest';
import { readFrameNumber } from './frame-strip.ts';
import { LuminanceHistogram } from './luminance-histogram.ts';
import { MotionMeter } from './motion.ts';
import { tightRaster } from './raster.ts';
import { TestCard } from './test-card.ts';

const raster = tightRaster(480, 270);
const card = new TestCard(raster.width, raster.height);

function rendered(frameNumber: number, timeMs = 0): Uint8Array {
  const pixels = new Uint8Array(raster.strideBytes * raster.height);
  card.render(pixels, frameNumber, timeMs);
  return pixels;
}

function solid(red: number, green: number, blue: number): Uint8Array {
  const pixels = new Uint8Array(raster.strideBytes * raster.height);
  for (let at = 0; at < pixels.length; at += 4) pixels.set([red, green, blue, 255], at);
  return pixels;
}

describe('the test card', () => {
  it.each([0, 1, 59, 12_345, 99_999_999, 0x8000_0001, 2 ** 32 - 1])('carries frame number %i', (frameNumber) => {
    expect(readFrameNumber(rendered(frameNumber), raster)).toBe(frameNumber);
  });

  it('a picture torn between two frames carries no number', () => {
    const torn = rendered(7);
    torn.set(rendered(8).subarray(torn.length / 2), torn.length / 2);
    expect(readFrameNumber(torn, raster)).toBeNull();
  });

  it('a damaged strip, a black and a white picture carry no number', () => {
    const damaged = rendered(7);
    for (const top of [0, raster.height - 8]) {
      for (let row = 0; row < 8; row += 1)
        damaged.fill(255, (top + row) * raster.strideBytes, (top + row) * raster.strideBytes + 32);
    }
    expect(readFrameNumber(damaged, raster)).toBeNull();
    expect(readFrameNumber(solid(0, 0, 0), raster)).toBeNull();
    expect(readFrameNumber(solid(255, 255, 255), raster)).toBeNull();
  });

  it('writes every pixel, whatever the memory held before', () => {
    const dirty = new Uint8Array(raster.strideBytes * raster.height).fill(0x77);
    card.render(dirty, 42, 0);
    expect(dirty).toEqual(rendered(42));
    expect(dirty.every((byte, at) => at % 4 !== 3 || byte === 255)).toBe(true);
  });

  it('renders padded rows alike, leaves the padding alone, and is refused memory that is too small or unaligned', () => {
    const strideBytes = raster.strideBytes + 64;
    const padded = new Uint8Array(strideBytes * raster.height).fill(9);
    card.render(padded, 42, 0, strideBytes);
    const tight = rendered(42);
    for (const row of [0, 100, 269]) {
      const start = row * strideBytes;
      expect(padded.subarray(start, start + raster.strideBytes)).toEqual(
        tight.subarray(row * raster.strideBytes, (row + 1) * raster.strideBytes),
      );
      expect(padded.subarray(start + raster.strideBytes, start + strideBytes).every((byte) => byte === 9)).toBe(true);
    }
    expect(() => card.render(new Uint8Array(1000), 1, 0)).toThrow(RangeError);
    expect(() => card.render(new Uint8Array(tight.length + 1).subarray(1), 1, 0)).toThrow('aligned');
    expect(() => new TestCard(100, 100)).toThrow(RangeError);
  });

  it('shows the time: another millisecond is another picture', () => {
    expect(rendered(1, 1)).not.toEqual(rendered(1, 2));
    expect(rendered(1, 1)).toEqual(rendered(1, 1));
  });
});

describe('the luminance histogram', () => {
  it('counts every sample of a solid picture at its one level', () => {
    const histogram = new LuminanceHistogram(raster);
    expect(histogram.measure(solid(255, 255, 255))).toEqual({ mean: 255, darkest: 255, median: 255, brightest: 255 });
    expect(histogram.counts[255]).toBe(120 * 68);
    expect(histogram.measure(solid(0, 0, 0)).mean).toBe(0);
    expect(histogram.counts[255]).toBe(0);
  });

  it('finds both levels of a half dark picture and refuses a released frame', () => {
    const half = solid(200, 200, 200);
    half.fill(0, 0, half.length / 2);
    const summary = new LuminanceHistogram(raster).measure(half);
    expect([summary.darkest, summary.brightest]).toEqual([0, 200]);
    expect(() => new LuminanceHistogram(raster).measure(new Uint8Array(0))).toThrow(RangeError);
  });
});

describe('the motion meter', () => {
  it('has nothing to say of the first picture, sees none in a still, and some in the moving card', () => {
    const meter = new MotionMeter(raster);
    expect(meter.measure(rendered(1))).toBeNull();
    expect(meter.measure(rendered(1))).toBe(0);
    expect(meter.measure(rendered(2))).toBeGreaterThan(0);
  });

  it('is the full range from black to white, and does not look at the previous picture again', () => {
    const meter = new MotionMeter(raster);
    const black = solid(0, 0, 0);
    meter.measure(black);
    black.fill(99);
    expect(meter.measure(solid(255, 255, 255))).toBe(255);
  });
});
