/**
 * Raw video: pictures one after another with nothing between them, as `--raw WxH --fourcc CODE --fps N` describes.
 * Owns the table of FourCCs whose frame size is known. Rows and planes are tight; V4L2 names of the same layout are accepted.
 */
import { type ByteSource, fill } from './byte-source.ts';
import { colorSpaceLayout, colorSpaceOfFourcc, planarFrameBytes } from './color-space.ts';
import { TruncatedVideoError } from './errors.ts';
import { type FrameRead, type FrameReader, frameTarget } from './frame-reader.ts';
import { DIMENSION_MAX, type Fraction } from './y4m-header.ts';

export interface RawFormat {
  /** Exactly four ASCII characters, padded with spaces. */
  readonly fourcc: string;
  readonly width: number;
  readonly height: number;
  readonly frameRate: Fraction | null;
}

/** Formats of one plane: bytes of one pixel. */
const PACKED_PIXEL_BYTES: Readonly<Record<string, number>> = {
  RGBA: 4,
  BGRA: 4,
  ARGB: 4,
  ABGR: 4,
  RA24: 4,
  BA24: 4,
  AR24: 4,
  AB24: 4,
  RX24: 4,
  BX24: 4,
  XR24: 4,
  XB24: 4,
  RGB3: 3,
  BGR3: 3,
  RG24: 3,
  BG24: 3,
  RG16: 2,
  GREY: 1,
  'Y16 ': 2,
};

/** Formats where two neighbours share their chroma: an odd width rounds up to a pair of four bytes. */
const PAIRED_PIXELS: ReadonlySet<string> = new Set(['YUYV', 'UYVY', 'YVYU', 'VYUY']);

/** Luma, then one plane of interleaved chroma pairs: what each divides width and height by, and bytes per sample. */
const SEMI_PLANAR: Readonly<Record<string, { x: 1 | 2; y: 1 | 2; sampleBytes: 1 | 2 }>> = {
  NV12: { x: 2, y: 2, sampleBytes: 1 },
  NV21: { x: 2, y: 2, sampleBytes: 1 },
  NV16: { x: 2, y: 1, sampleBytes: 1 },
  NV61: { x: 2, y: 1, sampleBytes: 1 },
  NV24: { x: 1, y: 1, sampleBytes: 1 },
  NV42: { x: 1, y: 1, sampleBytes: 1 },
  P010: { x: 2, y: 2, sampleBytes: 2 },
  P012: { x: 2, y: 2, sampleBytes: 2 },
  P016: { x: 2, y: 2, sampleBytes: 2 },
};

/** Same layout as a colour space of Y4M, under another name; V swaps the chroma planes, which changes no size. */
const PLANAR_ALIASES: Readonly<Record<string, string>> = {
  I420: 'YU12',
  YV12: 'YU12',
  YV16: 'YU16',
  YV24: 'YU24',
  '422P': 'YU16',
  '444P': 'YU24',
};

/** Bytes of a row of the first plane, and of a whole picture; null for a FourCC we do not know. */
export function rawLayout(
  fourcc: string,
  width: number,
  height: number,
): { strideBytes: number; frameBytes: number } | null {
  const pixelBytes = lookUp(PACKED_PIXEL_BYTES, fourcc);
  if (pixelBytes !== undefined) return { strideBytes: width * pixelBytes, frameBytes: width * pixelBytes * height };
  if (PAIRED_PIXELS.has(fourcc)) {
    const strideBytes = Math.ceil(width / 2) * 4;
    return { strideBytes, frameBytes: strideBytes * height };
  }
  const semi = lookUp(SEMI_PLANAR, fourcc);
  if (semi !== undefined) {
    const chromaSamples = Math.ceil(width / semi.x) * 2 * Math.ceil(height / semi.y);
    return { strideBytes: width * semi.sampleBytes, frameBytes: (width * height + chromaSamples) * semi.sampleBytes };
  }
  const colorSpace = colorSpaceOfFourcc(lookUp(PLANAR_ALIASES, fourcc) ?? fourcc);
  if (colorSpace === null) return null;
  const strideBytes = width * colorSpaceLayout(colorSpace).bytesPerSample;
  return { strideBytes, frameBytes: planarFrameBytes(colorSpace, width, height) };
}

/** Turns the words of `--raw`, `--fourcc` and `--fps` into a format. @throws RangeError saying which option is wrong */
export function parseRawFormat(size: string, fourcc: string, framesPerSecond: string | null): RawFormat {
  const match = /^([0-9]{1,7})x([0-9]{1,7})$/i.exec(size);
  const width = Number(match?.[1]);
  const height = Number(match?.[2]);
  if (!(width >= 1 && width <= DIMENSION_MAX && height >= 1 && height <= DIMENSION_MAX)) {
    throw new RangeError(`--raw takes WIDTHxHEIGHT, each from 1 to ${DIMENSION_MAX}, not ${JSON.stringify(size)}`);
  }
  const padded = fourcc.padEnd(4, ' ');
  if (rawLayout(padded, width, height) === null) {
    throw new RangeError(`--fourcc ${JSON.stringify(fourcc)} is unknown; known are ${knownFourccs().join(', ')}`);
  }
  return { fourcc: padded, width, height, frameRate: parseFrameRate(framesPerSecond) };
}

/** `25`, `29.97`, `30000/1001` or `30000:1001`; null stays null. @throws RangeError */
export function parseFrameRate(text: string | null): Fraction | null {
  if (text === null) return null;
  const match = /^([0-9]{1,9})(?:\.([0-9]{1,6})|[/:]([0-9]{1,9}))?$/.exec(text);
  const decimals = match?.[2] ?? '';
  const numerator = Number(`${match?.[1] ?? ''}${decimals}`);
  const denominator = Number(match?.[3] ?? 10 ** decimals.length);
  if (match === null || numerator < 1 || numerator >= 2 ** 32 || denominator < 1) {
    throw new RangeError(`--fps takes frames per second like 25, 29.97 or 30000/1001, not ${JSON.stringify(text)}`);
  }
  return { numerator, denominator };
}

export class RawReader implements FrameReader {
  readonly format: RawFormat;
  readonly frameBytes: number;
  readonly #source: ByteSource;
  #completeFrames = 0;

  constructor(source: ByteSource, format: RawFormat) {
    const layout = rawLayout(format.fourcc, format.width, format.height);
    if (layout === null) throw new RangeError(`the frame size of FourCC ${JSON.stringify(format.fourcc)} is unknown`);
    this.#source = source;
    this.format = format;
    this.frameBytes = layout.frameBytes;
  }

  get completeFrames(): number {
    return this.#completeFrames;
  }

  async readFrame(into: Uint8Array): Promise<FrameRead | null> {
    const target = frameTarget(into, this.frameBytes);
    const filled = await fill(this.#source, target);
    if (filled === 0) return null;
    if (filled < this.frameBytes) {
      throw new TruncatedVideoError('frame', this.#completeFrames, this.frameBytes - filled, this.frameBytes);
    }
    this.#completeFrames += 1;
    return { bytes: filled, frameParameters: '' };
  }

  close(): Promise<void> {
    return this.#source.close();
  }
}

function knownFourccs(): string[] {
  const planar = ['YU12', 'YU11', 'YU16', 'YU24', 'R8', 'R10', 'R12', 'R16', 'S010', 'S012', 'S016', 'S210', 'S212'];
  const tables = [PACKED_PIXEL_BYTES, SEMI_PLANAR, PLANAR_ALIASES].flatMap((table) => Object.keys(table));
  return [...tables, ...PAIRED_PIXELS, ...planar, 'S216', 'S410', 'S412', 'S416'].map((code) => code.trim());
}

function lookUp<T>(table: Readonly<Record<string, T>>, key: string): T | undefined {
  return Object.hasOwn(table, key) ? table[key] : undefined;
}
