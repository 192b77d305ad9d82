/** The loops that are timed: the same work whatever the pages are. Each returns what it read, so that none can be left out. */

/** Touching once for each of these is touching every page of every kind, and as many times for all of them, B. */
const TOUCH_BYTES = 4_096;

/** Writes one byte for every 4 KiB: 0, so that `walk` finds nothing but zeros. */
export function touch(bytes: Uint8Array): void {
  for (let offset = 0; offset < bytes.length; offset += TOUCH_BYTES) bytes[offset] = 0;
}

/** The same memory for `walk` and `sum`. */
export function wordsOf(bytes: Uint8Array): Uint32Array {
  return new Uint32Array(bytes.buffer, bytes.byteOffset, Math.floor(bytes.length / 4));
}

/**
 * Reads `reads` words among the first `setBytes` (a power of two, up to 16 GiB), one after the other: each word read goes into the
 * next place, so that the processor can neither guess nor overlap them. The places are the upper bits of a generator with the
 * full period of 2^32, the same for every kind of page, as long as all words are 0. Returns the generator's state to go on from.
 */
export function walk(words: Uint32Array, setBytes: number, reads: number, seed: number): number {
  const shift = 32 - Math.log2(setBytes / 4);
  let state = seed;
  for (let read = 0; read < reads; read += 1) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223 + (words[state >>> shift] ?? 1)) | 0;
  }
  return state;
}

/** The same places without any memory: where `walk` must have come to. */
export function walked(reads: number, seed: number): number {
  let state = seed;
  for (let read = 0; read < reads; read += 1) state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0;
  return state;
}

/** Reads every word in order. */
export function sum(words: Uint32Array): number {
  let total = 0;
  for (let index = 0; index < words.length; index += 1) total = (total + (words[index] ?? 1)) | 0;
  return total;
}
