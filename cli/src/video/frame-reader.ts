/** What reading frames looks like, whatever the container: into the caller's memory, one after another. */
export interface FrameRead {
  readonly bytes: number;
  /** The parameters of a Y4M FRAME line, verbatim; '' when there are none. */
  readonly frameParameters: string;
}

export interface FrameReader {
  /**
   * Puts the next frame at the start of `into`, which stays the reader's until the promise settles; null at the end.
   * @throws TruncatedVideoError when the input ends inside a frame
   */
  readFrame(into: Uint8Array): Promise<FrameRead | null>;
  readonly completeFrames: number;
  close(): Promise<void>;
}

/** The first `bytes` of the caller's memory. @throws RangeError when it is smaller */
export function frameTarget(into: Uint8Array, bytes: number): Uint8Array {
  if (into.byteLength < bytes) {
    throw new RangeError(`a frame of ${bytes} bytes does not fit into ${into.byteLength} bytes`);
  }
  return into.byteLength === bytes ? into : into.subarray(0, bytes);
}
