/** What a vector asks of the memory it lies in: the same few things of a mapping's attachment, of private pages and of a test double. */

/** Memory that can be read: enough for `SharedVector.open`. It may be mapped read-only. */
export interface ReadableVectorMemory {
  /** How much of it there is now, B: all of it may be touched. It rises when somebody makes the memory grow. */
  readonly sizeBytes: number;
  /** A view of `[offset, offset + length)`, no copy; it stays good when the memory grows. */
  bytes(offset: number, length: number): Uint8Array;
  /** The same as 32-bit words; `offset` is a multiple of 4. */
  words32(offset: number, count: number): Uint32Array;
}

/** Memory that can be written, given back and populated again. */
export interface VectorMemory extends ReadableVectorMemory {
  /** Size of one of its pages, B. */
  readonly pageBytes: number;
  /** Gives whole pages back to the system; they are zero afterwards and must be populated before they are touched. */
  discard(offset: number, length: number): void;
  /** Makes sure that whole pages are there to be written. @throws Error when the machine has none: then nothing was touched. */
  populate(offset: number, length: number): void;
  /** Absent: this memory has a fixed size. Rejects, and leaves the size, when there is no more to be had. */
  grow?(atLeastBytes: number): Promise<void>;
}
