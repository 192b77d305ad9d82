/**
 * Reads a YUV4MPEG2 stream frame by frame into the caller's memory.
 * Never reads past the byte it needs, so that a picture goes from the input into its slot and nowhere else;
 * the price is that headers are read a byte at a time beyond their shortest form, which costs nothing in practice.
 */
import { type ByteSource, fill } from './byte-source.ts';
import { TruncatedVideoError, VideoFormatError } from './errors.ts';
import { type FrameRead, type FrameReader, frameTarget } from './frame-reader.ts';
import {
  expectFrameMagic,
  expectStreamMagic,
  FRAME_HEADER_BYTES_MAX,
  frameBytes,
  parseFrameHeader,
  parseStreamHeader,
  STREAM_HEADER_BYTES_MAX,
  type VideoHeader,
} from './y4m-header.ts';

const NEWLINE = 0x0a;
const SHORTEST_STREAM_HEADER_BYTES = 'YUV4MPEG2 W1 H1\n'.length;
const SHORTEST_FRAME_HEADER_BYTES = 'FRAME\n'.length;

export class Y4mReader implements FrameReader {
  readonly #source: ByteSource;
  readonly #line = new Uint8Array(STREAM_HEADER_BYTES_MAX);
  #header: VideoHeader | null = null;
  #pictureBytes = 0;
  #byteOffset = 0;
  #completeFrames = 0;

  constructor(source: ByteSource) {
    this.#source = source;
  }

  get completeFrames(): number {
    return this.#completeFrames;
  }

  /** The stream header; the second call returns what the first one read. @throws VideoFormatError, TruncatedVideoError */
  async readHeader(): Promise<VideoHeader> {
    if (this.#header !== null) return this.#header;
    const line = await this.#readLine('stream header', SHORTEST_STREAM_HEADER_BYTES, STREAM_HEADER_BYTES_MAX);
    if (line === null) {
      throw new TruncatedVideoError('stream header', 0, SHORTEST_STREAM_HEADER_BYTES, SHORTEST_STREAM_HEADER_BYTES);
    }
    const header = parseStreamHeader(line);
    this.#byteOffset = line.byteLength + 1;
    this.#pictureBytes = frameBytes(header);
    this.#header = header;
    return header;
  }

  async readFrame(into: Uint8Array): Promise<FrameRead | null> {
    await this.readHeader();
    const target = frameTarget(into, this.#pictureBytes);
    const line = await this.#readLine('frame header', SHORTEST_FRAME_HEADER_BYTES, FRAME_HEADER_BYTES_MAX);
    if (line === null) return null;
    const frameParameters = parseFrameHeader(line, this.#byteOffset);
    const filled = await fill(this.#source, target);
    if (filled < target.byteLength) {
      throw new TruncatedVideoError('frame', this.#completeFrames, target.byteLength - filled, target.byteLength);
    }
    this.#byteOffset += line.byteLength + 1 + target.byteLength;
    this.#completeFrames += 1;
    return { bytes: target.byteLength, frameParameters };
  }

  close(): Promise<void> {
    return this.#source.close();
  }

  /** A line without its newline, valid until the next call; null at the end of the input. */
  async #readLine(
    part: 'stream header' | 'frame header',
    shortestBytes: number,
    longestBytes: number,
  ): Promise<Uint8Array | null> {
    let length = await fill(this.#source, this.#line.subarray(0, shortestBytes));
    if (length === 0) return null;
    if (length < shortestBytes) {
      throw new TruncatedVideoError(part, this.#completeFrames, shortestBytes - length, shortestBytes);
    }
    if (part === 'stream header') expectStreamMagic(this.#line);
    else expectFrameMagic(this.#line, this.#byteOffset);
    const early = this.#line.subarray(0, length).indexOf(NEWLINE);
    if (early !== -1) {
      if (early < length - 1) throw new VideoFormatError(`the ${part} ends too early`, this.#byteOffset + early);
      return this.#line.subarray(0, early);
    }
    for (; length < longestBytes; length += 1) {
      if ((await this.#source.readInto(this.#line.subarray(length, length + 1))) === 0) {
        throw new TruncatedVideoError(part, this.#completeFrames, 1, length + 1);
      }
      if (this.#line[length] === NEWLINE) return this.#line.subarray(0, length);
    }
    throw new VideoFormatError(`the ${part} has no end in its first ${longestBytes} bytes`, this.#byteOffset);
  }
}
