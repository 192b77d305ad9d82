/**
 * The text of YUV4MPEG2: the stream header and the FRAME lines, parsed and formatted.
 * Input is hostile: every line is bounded, every number has a range, and an error names the byte it is about.
 * Parsing what `format…` wrote gives the same value back.
 */
import { type ColorSpace, DEFAULT_COLOR_SPACE, isColorSpace, planarFrameBytes } from './color-space.ts';
import { VideoFormatError } from './errors.ts';

/** Longest stream header, the newline included. */
export const STREAM_HEADER_BYTES_MAX = 4096;
/** Longest FRAME line, the newline included; its parameters then fit the user metadata of a frame. */
export const FRAME_HEADER_BYTES_MAX = 128;
/** Largest width and height. The bytes of the largest frame are still an exact number. */
export const DIMENSION_MAX = 2 ** 20;

const STREAM_MAGIC = 'YUV4MPEG2';
const FRAME_MAGIC = 'FRAME';
const UINT32_MAX = 2 ** 32 - 1;

export interface Fraction {
  readonly numerator: number;
  readonly denominator: number;
}

/** `p` progressive, `t` top field first, `b` bottom field first, `m` mixed (FRAME lines tell), `?` unknown. */
export type Interlace = 'p' | 't' | 'b' | 'm' | '?';

export interface VideoHeader {
  readonly width: number;
  readonly height: number;
  readonly colorSpace: ColorSpace;
  /** Frames per second; null when not stated. */
  readonly frameRate: Fraction | null;
  readonly interlace: Interlace | null;
  /** Shape of a pixel; 0:0 is Y4M's own word for unknown, null is not stated at all. */
  readonly aspect: Fraction | null;
  /** The text of each `X` parameter that has any, in order. */
  readonly comments: readonly string[];
}

/** Exact bytes of one frame's picture, without its FRAME line. */
export function frameBytes(header: Pick<VideoHeader, 'colorSpace' | 'width' | 'height'>): number {
  return planarFrameBytes(header.colorSpace, header.width, header.height);
}

interface Token {
  readonly letter: string;
  readonly value: string;
  readonly byteOffset: number;
}

/** Parses a stream header given without its newline. @throws VideoFormatError */
export function parseStreamHeader(line: Uint8Array): VideoHeader {
  expectStreamMagic(line);
  const text = printableText(line, 0);
  const { single, comments } = collectTokens(text);
  return {
    width: parseDimension('W', 'width', single),
    height: parseDimension('H', 'height', single),
    colorSpace: parseColorSpace(single.get('C')),
    frameRate: parseFrameRate(single.get('F')),
    interlace: parseInterlace(single.get('I')),
    aspect: parseOptionalFraction(single.get('A')),
    comments,
  };
}

/** Refuses what does not begin as a stream header does. @throws VideoFormatError */
export function expectStreamMagic(start: Uint8Array): void {
  const found = magicMismatch(start, STREAM_MAGIC);
  if (found !== null) throw new VideoFormatError(`not a YUV4MPEG2 stream: it starts with ${quote(found)}`, 0);
}

/** Refuses what does not begin as a FRAME line does. @throws VideoFormatError */
export function expectFrameMagic(start: Uint8Array, lineOffset: number): void {
  const found = magicMismatch(start, FRAME_MAGIC);
  if (found !== null) throw new VideoFormatError(`expected a FRAME line and found ${quote(found)}`, lineOffset);
}

/** The stream header with its newline. @throws VideoFormatError when the header could not be read back */
export function formatStreamHeader(header: VideoHeader): string {
  const rate = header.frameRate ?? { numerator: 0, denominator: 0 };
  const parts = [STREAM_MAGIC, `W${header.width}`, `H${header.height}`, `F${rate.numerator}:${rate.denominator}`];
  if (header.interlace !== null) parts.push(`I${header.interlace}`);
  if (header.aspect !== null) parts.push(`A${header.aspect.numerator}:${header.aspect.denominator}`);
  parts.push(`C${header.colorSpace}`, ...header.comments.map((comment) => `X${comment}`));
  const line = parts.join(' ');
  if (line.length + 1 > STREAM_HEADER_BYTES_MAX) {
    throw new VideoFormatError(`a stream header of ${line.length + 1} bytes is too long`, STREAM_HEADER_BYTES_MAX);
  }
  // What arrives here may come from another process's channel: nothing is written that would not be accepted.
  parseStreamHeader(Buffer.from(line, 'utf8'));
  return `${line}\n`;
}

/** Parses a FRAME line given without its newline; returns its parameters verbatim, '' when there are none. */
export function parseFrameHeader(line: Uint8Array, lineOffset: number): string {
  expectFrameMagic(line, lineOffset);
  return printableText(line, lineOffset).slice(FRAME_MAGIC.length + 1);
}

/** A FRAME line with its newline. */
export function formatFrameHeader(frameParameters: string): string {
  const line = frameParameters === '' ? FRAME_MAGIC : `${FRAME_MAGIC} ${frameParameters}`;
  if (line.length + 1 > FRAME_HEADER_BYTES_MAX) {
    throw new VideoFormatError(`a FRAME line of ${line.length + 1} bytes is too long`, FRAME_HEADER_BYTES_MAX);
  }
  printableText(Buffer.from(line, 'utf8'), 0);
  return `${line}\n`;
}

/** What stands where `magic`, then a space or the end of the line, should; null when all is well. */
function magicMismatch(start: Uint8Array, magic: string): string | null {
  const text = latin1(start.subarray(0, magic.length + 1));
  return text.trimEnd() === magic ? null : text;
}

function collectTokens(text: string): { single: Map<string, Token>; comments: string[] } {
  const single = new Map<string, Token>();
  const comments: string[] = [];
  let byteOffset = 0;
  for (const word of text.split(' ')) {
    const token = { letter: word.slice(0, 1), value: word.slice(1), byteOffset };
    byteOffset += word.length + 1;
    if (token.byteOffset === 0 || word === '') continue;
    if (token.letter === 'X') {
      if (token.value !== '') comments.push(token.value);
    } else if (!'WHFIAC'.includes(token.letter)) {
      throw new VideoFormatError(`unknown parameter ${quote(word)} in the stream header`, token.byteOffset);
    } else if (single.has(token.letter)) {
      throw new VideoFormatError(`parameter ${token.letter} is given twice`, token.byteOffset);
    } else {
      single.set(token.letter, token);
    }
  }
  return { single, comments };
}

function parseDimension(letter: 'W' | 'H', name: string, tokens: Map<string, Token>): number {
  const token = tokens.get(letter);
  if (token === undefined)
    throw new VideoFormatError(`the stream header has no ${name} (${letter})`, STREAM_MAGIC.length);
  const value = parseInteger(token.value);
  if (value === null || value < 1 || value > DIMENSION_MAX) {
    throw new VideoFormatError(
      `the ${name} ${quote(token.value)} is no whole number from 1 to ${DIMENSION_MAX}`,
      token.byteOffset,
    );
  }
  return value;
}

function parseColorSpace(token: Token | undefined): ColorSpace {
  if (token === undefined) return DEFAULT_COLOR_SPACE;
  if (isColorSpace(token.value)) return token.value;
  throw new VideoFormatError(`unknown colour space ${quote(token.value)}`, token.byteOffset);
}

function parseFrameRate(token: Token | undefined): Fraction | null {
  const rate = parseOptionalFraction(token);
  if (rate === null || (rate.numerator === 0 && rate.denominator === 0)) return null;
  if (rate.numerator > 0) return rate;
  throw new VideoFormatError('a frame rate of 0 frames per second', token?.byteOffset ?? 0);
}

function parseInterlace(token: Token | undefined): Interlace | null {
  if (token === undefined) return null;
  const { value } = token;
  if (value === 'p' || value === 't' || value === 'b' || value === 'm' || value === '?') return value;
  throw new VideoFormatError(`unknown interlacing ${quote(value)}`, token.byteOffset);
}

function parseOptionalFraction(token: Token | undefined): Fraction | null {
  if (token === undefined) return null;
  const [numeratorText = '', denominatorText = '', ...rest] = token.value.split(':');
  const numerator = parseInteger(numeratorText);
  const denominator = parseInteger(denominatorText);
  const readable = rest.length === 0 && numerator !== null && denominator !== null;
  if (!readable || (denominator === 0 && numerator !== 0)) {
    throw new VideoFormatError(`${quote(token.letter + token.value)} is no fraction like 30000:1001`, token.byteOffset);
  }
  return { numerator, denominator };
}

/** A decimal number of at most 32 bits; null for anything else. */
function parseInteger(text: string): number | null {
  if (!/^[0-9]{1,10}$/.test(text)) return null;
  const value = Number(text);
  return value <= UINT32_MAX ? value : null;
}

function printableText(line: Uint8Array, lineOffset: number): string {
  const bad = line.findIndex((byte) => byte < 0x20 || byte > 0x7e);
  if (bad !== -1) {
    const hex = (line[bad] ?? 0).toString(16).padStart(2, '0');
    throw new VideoFormatError(`byte 0x${hex} has no place in a YUV4MPEG2 header`, lineOffset + bad);
  }
  return latin1(line);
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
}

function quote(text: string): string {
  return JSON.stringify(text.length > 40 ? `${text.slice(0, 40)}…` : text);
}
