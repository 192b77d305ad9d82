import { spawnSync } from 'node:child_process';
import { mkdtemp, open, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { fileSource, streamSource } from './byte-source.ts';
import { COLOR_SPACE_NAMES, type ColorSpace, planarFrameBytes } from './color-space.ts';
import { TruncatedVideoError, VideoFormatError } from './errors.ts';
import { frameFormatFromVideoHeader, videoHeaderFromFrameFormat } from './frame-format.ts';
import { Y4mWriter } from './video-writer.ts';
import { DIMENSION_MAX, formatStreamHeader, parseStreamHeader, type VideoHeader } from './y4m-header.ts';
import { Y4mReader } from './y4m-reader.ts';

const hasFfmpeg = spawnSync('ffmpeg', ['-version']).status === 0;

const PIXEL_FORMATS: Record<string, ColorSpace> = {
  yuv420p: '420jpeg',
  yuv411p: '411',
  yuv422p: '422',
  yuv444p: '444',
  yuva444p: '444alpha',
  gray: 'mono',
  gray9: 'mono9',
  gray10: 'mono10',
  gray12: 'mono12',
  gray16: 'mono16',
};
for (const sampling of ['420', '422', '444']) {
  for (const bits of [9, 10, 12, 14, 16]) {
    PIXEL_FORMATS[`yuv${sampling}p${bits}`] = `${sampling}p${bits}` as ColorSpace;
  }
}

/**
 * ffmpeg 5.1 halves a row of 16-bit samples in bytes: of an odd width it writes half a sample of chroma, and cannot read
 * its own stream back. There, only the height is odd.
 */
function oddWidth(pixelFormat: string): number {
  return /^yuv42[02]p\d+$/.test(pixelFormat) ? 18 : 17;
}

function ffmpeg(pixelFormat: string, ...more: string[]): Buffer {
  const filter = [
    '-f',
    'lavfi',
    '-i',
    'testsrc2=size=64x48:rate=30000/1001',
    '-vf',
    `scale=${oddWidth(pixelFormat)}:13`,
    '-frames:v',
    '3',
  ];
  const output = [...more, '-pix_fmt', pixelFormat, '-strict', '-1', '-f', 'yuv4mpegpipe', '-'];
  const { stdout, stderr, status } = spawnSync('ffmpeg', ['-v', 'error', ...filter, ...output]);
  if (status !== 0) throw new Error(stderr.toString());
  return stdout;
}

async function* inChunks(bytes: Uint8Array, chunkBytes: number): AsyncGenerator<Uint8Array> {
  for (let start = 0; start < bytes.length; start += chunkBytes) yield bytes.subarray(start, start + chunkBytes);
}

/** Reads a stream, sends its header through a channel's format, and writes it again. */
async function passOn(reader: Y4mReader): Promise<Buffer> {
  const header = await reader.readHeader();
  const received = videoHeaderFromFrameFormat(frameFormatFromVideoHeader(header)) as VideoHeader;
  expect(received).toEqual(header);
  const output = new PassThrough({ highWaterMark: 1e6 });
  const writer = new Y4mWriter(output);
  await writer.writeHeader(received);
  const pictureBytes = planarFrameBytes(header.colorSpace, header.width, header.height);
  for (;;) {
    const picture = new Uint8Array(pictureBytes);
    const frame = await reader.readFrame(picture);
    if (frame === null) break;
    await writer.writeFrame(picture, frame.frameParameters);
  }
  await writer.end();
  return Buffer.concat(await output.toArray());
}

const reading = (bytes: Uint8Array, chunkBytes = 65_536) => new Y4mReader(streamSource(inChunks(bytes, chunkBytes)));
const parse = (text: string) => parseStreamHeader(Buffer.from(text));

const TINY = Buffer.concat([
  Buffer.from('YUV4MPEG2 W3 H3 F25:1 It A0:0 C420jpeg XYSCSS=420JPEG XNOTE\nFRAME\n'),
  Buffer.alloc(17, 1),
  Buffer.from('FRAME Ixyz XA\n'),
  Buffer.alloc(17, 0x0a),
]);

describe.skipIf(!hasFfmpeg)('what ffmpeg writes (skipped: no ffmpeg)', () => {
  it.each(Object.entries(PIXEL_FORMATS))(
    '%s at an odd size comes out bit for bit, as %s',
    async (pixelFormat, colorSpace) => {
      const stream = ffmpeg(pixelFormat);
      const reader = reading(stream, 100);
      expect(await passOn(reader)).toEqual(stream);
      expect((await reader.readHeader()).colorSpace).toBe(colorSpace);
      expect(reader.completeFrames).toBe(3);
    },
  );

  it.each([
    ['left', '420mpeg2'],
    ['topleft', '420paldv'],
    ['center', '420jpeg'],
  ])('chroma at %s is %s', async (location, colorSpace) => {
    const stream = ffmpeg('yuv420p', '-chroma_sample_location', location);
    expect(await passOn(reading(stream))).toEqual(stream);
    expect((await reading(stream).readHeader()).colorSpace).toBe(colorSpace);
  });
});

describe('the Y4M reader', () => {
  it.each(Array.from({ length: TINY.length }, (_, index) => index + 1))(
    'chunks of %i bytes give the same frames',
    async (size) => {
      expect(await passOn(reading(TINY, size))).toEqual(TINY);
    },
  );

  it('a file is read like a stream', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'y4m-'));
    try {
      await writeFile(join(directory, 'tiny.y4m'), TINY);
      const reader = new Y4mReader(fileSource(await open(join(directory, 'tiny.y4m'))));
      expect(await passOn(reader)).toEqual(TINY);
      await reader.close();
    } finally {
      await rm(directory, { recursive: true });
    }
  });

  it('a stream cut anywhere but between frames is an error that counts what was complete', async () => {
    const firstFrameEnd = TINY.indexOf('FRAME Ixyz');
    const headerEnd = TINY.indexOf('\n') + 1;
    for (let length = 0; length < TINY.length; length += 1) {
      const result = passOn(reading(TINY.subarray(0, length)));
      if (length === headerEnd || length === firstFrameEnd) {
        expect((await result).length).toBe(length);
        continue;
      }
      const error = await result.catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(TruncatedVideoError);
      expect((error as TruncatedVideoError).completeFrames).toBe(length > firstFrameEnd ? 1 : 0);
    }
    const cut = passOn(reading(TINY.subarray(0, TINY.length - 5)));
    await expect(cut).rejects.toMatchObject({ part: 'frame', missingBytes: 5, expectedBytes: 17, completeFrames: 1 });
  });

  it('garbage between frames names the byte where a FRAME line was expected', async () => {
    const at = TINY.indexOf('FRAME Ixyz');
    const broken = Buffer.concat([TINY.subarray(0, at), Buffer.from('GARBAGE IN BETWEEN')]);
    await expect(passOn(reading(broken))).rejects.toMatchObject({ name: 'VideoFormatError', byteOffset: at });
  });

  it('headers without an end are given up', async () => {
    const endless = Buffer.from(`YUV4MPEG2 W3 H3 X${'a'.repeat(5_000)}`);
    await expect(reading(endless).readHeader()).rejects.toThrow('no end in its first 4096 bytes');
    const frame = Buffer.from(`YUV4MPEG2 W3 H3\nFRAME X${'a'.repeat(500)}`);
    await expect(reading(frame).readFrame(new Uint8Array(17))).rejects.toThrow('no end in its first 128 bytes');
  });

  it('memory smaller than a frame is refused before anything is read into it', async () => {
    const reader = reading(TINY);
    await expect(reader.readFrame(new Uint8Array(16))).rejects.toThrow(RangeError);
    expect(await reader.readFrame(new Uint8Array(17))).toEqual({ bytes: 17, frameParameters: '' });
  });

  it('closing ends a read that waits for a silent stream', async () => {
    const silent = new PassThrough();
    const reader = new Y4mReader(streamSource(silent));
    const header = reader.readHeader();
    const ended = header.catch((error: unknown) => error);
    await reader.close();
    expect(await ended).toBeInstanceOf(Error);
  });
});

describe('Y4M stream headers', () => {
  it.each([
    ['RIFF....AVI LIST', 0],
    ['YUV4MPEG W3 H3', 0],
    ['YUV4MPEG2 H3', 9],
    ['YUV4MPEG2 W3', 9],
    ['YUV4MPEG2 W0 H3', 10],
    ['YUV4MPEG2 W3 H-1', 13],
    ['YUV4MPEG2 W3 H1e3', 13],
    [`YUV4MPEG2 W${DIMENSION_MAX + 1} H3`, 10],
    ['YUV4MPEG2 W99999999999999999999 H3', 10],
    ['YUV4MPEG2 W3 H3 W4', 16],
    ['YUV4MPEG2 W3 H3 F30', 16],
    ['YUV4MPEG2 W3 H3 F30:0', 16],
    ['YUV4MPEG2 W3 H3 F0:1', 16],
    ['YUV4MPEG2 W3 H3 F30:1:1', 16],
    ['YUV4MPEG2 W3 H3 F4294967296:1', 16],
    ['YUV4MPEG2 W3 H3 Iq', 16],
    ['YUV4MPEG2 W3 H3 C420p11', 16],
    ['YUV4MPEG2 W3 H3 CtoString', 16],
    ['YUV4MPEG2 W3 H3 Z1', 16],
    ['YUV4MPEG2 W3 H3 X\u0000', 17],
  ])('%j is refused, and byte %i blamed', (text, byteOffset) => {
    let error: unknown;
    try {
      parse(text);
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toBeInstanceOf(VideoFormatError);
    expect((error as VideoFormatError).byteOffset).toBe(byteOffset);
  });

  it('what is not stated stays so, and no colour space means 4:2:0', () => {
    const header = parse('YUV4MPEG2 W3 H5  F0:0');
    expect(header).toEqual({
      width: 3,
      height: 5,
      colorSpace: '420',
      frameRate: null,
      interlace: null,
      aspect: null,
      comments: [],
    });
    expect(parse(formatStreamHeader(header).trimEnd())).toEqual(header);
  });

  it('the largest picture of the largest colour space still has an exact size', () => {
    expect(Number.isSafeInteger(planarFrameBytes('444p16', DIMENSION_MAX, DIMENSION_MAX))).toBe(true);
  });

  it.each([
    ['420jpeg', 17 * 13 + 2 * 9 * 7],
    ['411', 17 * 13 + 2 * 5 * 13],
    ['422p10', 2 * (17 * 13 + 2 * 9 * 13)],
    ['444alpha', 4 * 17 * 13],
    ['mono16', 2 * 17 * 13],
  ] as const)('a 17×13 frame of %s has %i bytes', (colorSpace, bytes) => {
    expect(planarFrameBytes(colorSpace, 17, 13)).toBe(bytes);
  });
});

describe('a channel format', () => {
  it.each(COLOR_SPACE_NAMES)(
    '%s and 4,000 bytes of comments survive, each attribute within its limit',
    (colorSpace) => {
      const comments = ['YSCSS=420JPEG', 'x'.repeat(255), 'y'.repeat(3_700)];
      const header: VideoHeader = {
        width: 17,
        height: 13,
        colorSpace,
        frameRate: { numerator: 30_000, denominator: 1_001 },
        interlace: 'm',
        aspect: { numerator: 0, denominator: 0 },
        comments,
      };
      const format = frameFormatFromVideoHeader(header);
      expect(format.fourcc).toMatch(/^[\x20-\x7e]{4}$/);
      expect(Object.keys(format.attributes).length).toBeLessThanOrEqual(32);
      expect(Object.values(format.attributes).every((value) => value.length <= 256)).toBe(true);
      expect(videoHeaderFromFrameFormat(format)).toEqual(header);
    },
  );

  const plain = { fourcc: 'YU12', width: 4, height: 4, strideBytes: 0, frameRate: { numerator: 0, denominator: 0 } };

  it('from a publisher that knows no Y4M is written when the layout is one of Y4M, and only then', () => {
    expect(videoHeaderFromFrameFormat({ ...plain, attributes: {} })?.colorSpace).toBe('420');
    expect(videoHeaderFromFrameFormat({ ...plain, fourcc: 'RGBA', attributes: {} })).toBeNull();
    expect(videoHeaderFromFrameFormat({ ...plain, strideBytes: 64, attributes: {} })).toBeNull();
  });

  it.each<Record<string, string>>([
    { 'y4m.colorspace': 'nonsense' },
    { 'y4m.colorspace': '422' },
    { 'y4m.interlace': 'p\nFRAME' },
    { 'y4m.aspect': '1:1 W9' },
    { 'y4m.comment': 'two\nlines' },
    { 'y4m.comment': 'ünicode' },
  ])('with hostile attributes %j is refused', (attributes) => {
    expect(() => videoHeaderFromFrameFormat({ ...plain, attributes })).toThrow(VideoFormatError);
  });
});
