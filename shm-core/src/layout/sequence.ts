/**
 * Sequences: plain numbers from 1 to `SEQUENCE_LIMIT` in a process, modulo 2^32 in a word, with the rest (the era) beside the
 * word where it is needed whole.
 */

const WRAP = 2 ** 32;
const ERA = 2 ** 31;

/** Sequences stay below this, so that arithmetic on them is exact. */
export const SEQUENCE_LIMIT = 2 ** 53 - WRAP;

/** The low 32 bits of a sequence, signed, as an Int32Array holds them: `|` takes a number modulo 2^32, and costs no division. */
export const low32 = (sequence: number): number => sequence | 0;
/** The high 32 bits. */
export const high32 = (sequence: number): number => (sequence / WRAP) | 0;

/** The era that belongs to `sequence`. */
export const eraOf = (sequence: number): number => Math.floor(sequence / ERA);

/** The whole sequence from its low 32 bits and an era that was stored at most 2^30 frames before or after it. */
export function wholeSequence(low: number, era: number): number {
  const middle = era * ERA + ERA / 2;
  return middle + ((low - low32(middle)) | 0);
}
