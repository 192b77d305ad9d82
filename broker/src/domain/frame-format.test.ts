import { describe, expect, it } from 'vitest';
import { checkFrameFormat, type FrameFormat, frameBytes, slotBytesFor } from './frame-format.ts';

const format = (fourcc: string, width: number, height: number, more: Partial<FrameFormat> = {}): FrameFormat => ({
  fourcc,
  width,
  height,
  strideBytes: 0,
  frameRateNumerator: 0,
  frameRateDenominator: 0,
  attributes: {},
  ...more,
});

describe('the bytes of a frame', () => {
  it.each([
    ['RGBA', 1920, 1080, 8_294_400],
    ['RGB3', 3, 2, 18],
    ['YUYV', 4, 4, 32],
    ['GREY', 5, 5, 25],
    ['YU12', 1920, 1080, 3_110_400],
    ['YU16', 4, 2, 16],
    ['YU24', 4, 2, 24],
    ['NV12', 4, 4, 24],
    ['P010', 4, 4, 48],
  ])('of %s %i × %i are %i', (fourcc, width, height, bytes) => {
    expect(frameBytes(format(fourcc, width, height))).toBe(bytes);
  });

  it('round odd chroma up, as encoders do', () => {
    expect(frameBytes(format('YU12', 5, 5))).toBe(25 + 9 + 9);
    expect(frameBytes(format('NV12', 5, 5))).toBe(25 + 18);
  });

  it('follow the stride, and a row that does not fit in it is an error', () => {
    expect(frameBytes(format('RGBA', 10, 10, { strideBytes: 64 }))).toBe(640);
    expect(frameBytes(format('YU12', 4, 4, { strideBytes: 8 }))).toBe(32 + 2 * 8);
    expect(() => frameBytes(format('RGBA', 10, 10, { strideBytes: 39 }))).toThrow(/40 B/);
  });

  it('are unknown for a FourCC that is the user’s own', () => {
    expect(frameBytes(format('XYZ1', 10, 10))).toBeNull();
  });
});

describe('the slot for a format', () => {
  it('is computed when it was not stated', () => {
    expect(slotBytesFor(format('RGBA', 2, 2), 0)).toBe(16);
  });
  it('may be larger than the format needs, and must not be smaller', () => {
    expect(slotBytesFor(format('RGBA', 2, 2), 17)).toBe(17);
    expect(() => slotBytesFor(format('RGBA', 2, 2), 15)).toThrow(/take 16 B, but slot_bytes is 15 B/);
  });
  it('must be stated where nothing tells it', () => {
    expect(() => slotBytesFor(format('', 0, 0), 0)).toThrow(expect.objectContaining({ code: 'INVALID_SIZE' }));
    expect(() => slotBytesFor(format('XYZ1', 1, 1), 0)).toThrow(expect.objectContaining({ code: 'INVALID_FORMAT' }));
  });
});

describe('a format', () => {
  const invalid = expect.objectContaining({ code: 'INVALID_FORMAT' });
  it.each([
    ['a FourCC of three characters', format('RGB', 1, 1)],
    ['a FourCC beyond ASCII', format('RGB\u00e4', 1, 1)],
    ['a width without a height', format('RGBA', 1, 0)],
    ['more pixels than there can be', format('RGBA', 2 ** 20 + 1, 1)],
    ['half a frame rate', format('RGBA', 1, 1, { frameRateNumerator: 30 })],
    ['an attribute key that is too long', format('', 0, 0, { attributes: { ['k'.repeat(65)]: '' } })],
    ['an attribute value that is too long in UTF-8', format('', 0, 0, { attributes: { k: 'ä'.repeat(129) } })],
    ['too many attributes', format('', 0, 0, { attributes: Object.fromEntries(Array(33).entries()) })],
  ])('with %s is refused', (_what, wrong) => {
    expect(() => checkFrameFormat(wrong)).toThrow(invalid);
  });
});
