/**
 * Where video bytes come from, one call: "put what you have into this memory".
 * A file descriptor is read straight into the target, with no copy of ours; a stream's chunk is copied once, into the target.
 * The target is written while a call is pending: whoever passes a loaned slot keeps it loaned until the promise settles.
 * One call at a time.
 */
import type { FileHandle } from 'node:fs/promises';
import { Readable } from 'node:stream';

export interface ByteSource {
  /** Bytes put into `target`, at least one; 0 only at the end of the input (and for an empty target). */
  readInto(target: Uint8Array): Promise<number>;
  /** Gives up the input, however much of it is unread; a pending read of a stream then fails. */
  close(): Promise<void>;
}

/** Linux moves at most this much in one read(2). */
const READ_BYTES_MAX = 0x7fff_f000;

/** Reads any stream of chunks, for example `process.stdin`. */
export function streamSource(chunks: AsyncIterable<Uint8Array>): ByteSource {
  const iterator = chunks[Symbol.asyncIterator]();
  let chunk: Uint8Array = new Uint8Array(0);
  let ended = false;
  return {
    async readInto(target) {
      if (target.byteLength === 0) return 0;
      while (chunk.byteLength === 0) {
        if (ended) return 0;
        const next = await iterator.next();
        if (next.done === true) ended = true;
        else chunk = next.value;
      }
      const bytes = Math.min(chunk.byteLength, target.byteLength);
      target.set(bytes === chunk.byteLength ? chunk : chunk.subarray(0, bytes));
      chunk = chunk.subarray(bytes);
      return bytes;
    },
    async close() {
      ended = true;
      chunk = new Uint8Array(0);
      // A Readable's iterator would first wait for the chunk it is waiting for; destroying ends both.
      if (chunks instanceof Readable) chunks.destroy();
      else await iterator.return?.();
    },
  };
}

/** Reads an open file from its current position, and closes it in the end. */
export function fileSource(file: FileHandle): ByteSource {
  return {
    async readInto(target) {
      if (target.byteLength === 0) return 0;
      const { bytesRead } = await file.read(target, 0, Math.min(target.byteLength, READ_BYTES_MAX), null);
      return bytesRead;
    },
    close: () => file.close(),
  };
}

/** Fills `target` whole; returns fewer bytes than it holds only when the input ended. */
export async function fill(source: ByteSource, target: Uint8Array): Promise<number> {
  let filled = 0;
  while (filled < target.byteLength) {
    const bytes = await source.readInto(filled === 0 ? target : target.subarray(filled));
    if (bytes === 0) break;
    filled += bytes;
  }
  return filled;
}
