/**
 * The format of a channel, as plain values, and its two sources: a Y4M header and the options of raw video.
 * What goes in as Y4M comes out as an equivalent Y4M header: what a FourCC cannot say travels in `y4m.…` attributes.
 * A format read from a channel is another process's word: turning it into a header checks it like any input.
 */
import { colorSpaceLayout, colorSpaceOfFourcc, isColorSpace } from './color-space.ts';
import { VideoFormatError } from './errors.ts';
import { type RawFormat, rawLayout } from './raw-reader.ts';
import { type Fraction, formatStreamHeader, parseStreamHeader, type VideoHeader } from './y4m-header.ts';

export interface FrameFormat {
  readonly fourcc: string;
  readonly width: number;
  readonly height: number;
  /** From one row of the first plane to the next; 0 when not stated. */
  readonly strideBytes: number;
  /** Frames per second; 0/0 when not stated. */
  readonly frameRate: Fraction;
  readonly attributes: Readonly<Record<string, string>>;
}

export const COLOR_SPACE_ATTRIBUTE = 'y4m.colorspace';
export const INTERLACE_ATTRIBUTE = 'y4m.interlace';
export const ASPECT_ATTRIBUTE = 'y4m.aspect';
/** The `X` comments joined by spaces; what exceeds one value continues in `y4m.comment.1`, `y4m.comment.2`, … */
export const COMMENT_ATTRIBUTE = 'y4m.comment';

/** The protocol's limit for one value. A header of 4096 bytes makes at most 16 of them, within its limit of 32 entries. */
const ATTRIBUTE_VALUE_BYTES_MAX = 256;
const COMMENT_ATTRIBUTES_MAX = 16;
const NOT_STATED: Fraction = { numerator: 0, denominator: 0 };

export function frameFormatFromVideoHeader(header: VideoHeader): FrameFormat {
  const layout = colorSpaceLayout(header.colorSpace);
  const attributes: Record<string, string> = { [COLOR_SPACE_ATTRIBUTE]: header.colorSpace };
  if (header.interlace !== null) attributes[INTERLACE_ATTRIBUTE] = header.interlace;
  if (header.aspect !== null) {
    attributes[ASPECT_ATTRIBUTE] = `${header.aspect.numerator}:${header.aspect.denominator}`;
  }
  const comments = header.comments.join(' ');
  for (let start = 0, index = 0; start < comments.length; start += ATTRIBUTE_VALUE_BYTES_MAX, index += 1) {
    attributes[commentAttribute(index)] = comments.slice(start, start + ATTRIBUTE_VALUE_BYTES_MAX);
  }
  return {
    fourcc: layout.fourcc,
    width: header.width,
    height: header.height,
    strideBytes: header.width * layout.bytesPerSample,
    frameRate: header.frameRate ?? NOT_STATED,
    attributes,
  };
}

/**
 * The Y4M header of pictures in this format; null when Y4M cannot carry them as they are (RGB, NV12, padded rows, …).
 * @throws VideoFormatError when the format contradicts itself
 */
export function videoHeaderFromFrameFormat(format: FrameFormat): VideoHeader | null {
  const named = format.attributes[COLOR_SPACE_ATTRIBUTE];
  const colorSpace = named ?? colorSpaceOfFourcc(format.fourcc);
  if (colorSpace === null) return null;
  if (!isColorSpace(colorSpace)) {
    throw new VideoFormatError(`the channel's colour space ${JSON.stringify(colorSpace)} is unknown`, 0);
  }
  const layout = colorSpaceLayout(colorSpace);
  if (layout.fourcc !== format.fourcc) {
    throw new VideoFormatError(`the channel's FourCC ${format.fourcc} is not that of colour space ${colorSpace}`, 0);
  }
  if (format.strideBytes !== 0 && format.strideBytes !== format.width * layout.bytesPerSample) return null;
  const interlace = format.attributes[INTERLACE_ATTRIBUTE];
  const aspect = format.attributes[ASPECT_ATTRIBUTE];
  const { numerator, denominator } = format.frameRate;
  const parts = ['YUV4MPEG2', `W${format.width}`, `H${format.height}`, `F${numerator}:${denominator}`];
  if (interlace !== undefined) parts.push(`I${interlace}`);
  if (aspect !== undefined) parts.push(`A${aspect}`);
  parts.push(`C${colorSpace}`, ...commentsOf(format).map((comment) => `X${comment}`));
  const header = parseStreamHeader(Buffer.from(parts.join(' '), 'utf8'));
  formatStreamHeader(header);
  return header;
}

/** @throws RangeError for a FourCC whose layout is unknown */
export function frameFormatFromRaw(raw: RawFormat): FrameFormat {
  const layout = rawLayout(raw.fourcc, raw.width, raw.height);
  if (layout === null) throw new RangeError(`the layout of FourCC ${JSON.stringify(raw.fourcc)} is unknown`);
  return {
    fourcc: raw.fourcc,
    width: raw.width,
    height: raw.height,
    strideBytes: layout.strideBytes,
    frameRate: raw.frameRate ?? NOT_STATED,
    attributes: {},
  };
}

function commentAttribute(index: number): string {
  return index === 0 ? COMMENT_ATTRIBUTE : `${COMMENT_ATTRIBUTE}.${index}`;
}

function commentsOf(format: FrameFormat): string[] {
  let joined = '';
  for (let index = 0; index < COMMENT_ATTRIBUTES_MAX; index += 1) {
    const piece = format.attributes[commentAttribute(index)];
    if (piece === undefined) break;
    joined += piece;
  }
  return joined === '' ? [] : joined.split(' ');
}
