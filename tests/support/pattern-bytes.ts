/** Bytes that a number decides: neighbours differ, none of a period that a page or a word has, and quickly made for gigabytes. */
import { crc32 } from 'node:zlib';
import { seededRandom } from './checked-frames.ts';

/** A prime, so that no two pages are alike. */
const PERIOD_BYTES = 65_521;

/** Fills all of it. @returns the checksum of what is in it then */
export function fillPattern(bytes: Uint8Array, seed: number): number {
  const random = seededRandom(seed);
  const head = Uint8Array.from({ length: Math.min(PERIOD_BYTES, bytes.length) }, () => random() * 256);
  bytes.set(head);
  // Whole periods, doubled as long as that is possible.
  for (let there = head.length; there < bytes.length; there += Math.min(there, bytes.length - there)) {
    bytes.copyWithin(there, 0, Math.min(there, bytes.length - there));
  }
  return crc32(bytes);
}

/** The checksum that so many bytes of this number have. */
export const patternChecksum = (length: number, seed: number): number => fillPattern(new Uint8Array(length), seed);

/** Whether every byte is this one. */
export const isFilled = (bytes: Uint8Array, byte: number): boolean =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).equals(Buffer.alloc(bytes.length, byte));
