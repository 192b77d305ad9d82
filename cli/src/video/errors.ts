/**
 * What can be wrong with a video stream, as types a command can branch on.
 * Every message says what was found and where; none of these is a defect of the program.
 */

/** The bytes are no video that we can read. `byteOffset` counts from the start of the stream. */
export class VideoFormatError extends Error {
  override readonly name = 'VideoFormatError';
  readonly byteOffset: number;

  constructor(problem: string, byteOffset: number) {
    super(`${problem} (at byte ${byteOffset} of the stream)`);
    this.byteOffset = byteOffset;
  }
}

export type TruncatedPart = 'stream header' | 'frame header' | 'frame';

/** The stream ended inside a header or a frame. Every frame before it was complete. */
export class TruncatedVideoError extends Error {
  override readonly name = 'TruncatedVideoError';
  readonly part: TruncatedPart;
  readonly completeFrames: number;
  /** Bytes of `part` that never came. For a header this is the least it would still have needed. */
  readonly missingBytes: number;
  readonly expectedBytes: number;

  constructor(part: TruncatedPart, completeFrames: number, missingBytes: number, expectedBytes: number) {
    super(
      `the video ends in the middle of a ${part}: ${missingBytes} of ${expectedBytes} bytes are missing, ` +
        `after ${completeFrames} complete frame${completeFrames === 1 ? '' : 's'}`,
    );
    this.part = part;
    this.completeFrames = completeFrames;
    this.missingBytes = missingBytes;
    this.expectedBytes = expectedBytes;
  }
}

/** Whoever read our output went away, for example `… | head`. */
export class OutputClosedError extends Error {
  override readonly name = 'OutputClosedError';

  constructor(cause?: unknown) {
    super('the output was closed by its reader', { cause });
  }
}
