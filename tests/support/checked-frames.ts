/**
 * Payloads that prove themselves whole: every byte is covered by a checksum that lies in the payload, and neighbours differ in all
 * of them. Layout: crc32 of the rest (u32), length (u32), number (u64), fencing token (u64), then bytes that the number decides.
 */
import { crc32 } from 'node:zlib';

/** The least a payload can be, B. */
export const CHECKED_BYTES_MIN = 24;

/** What a payload says of itself. */
export interface CheckedFrame {
  /** What the writer numbered it. */
  readonly number: number;
  /** The token under which it was written. */
  readonly fencingToken: bigint;
}

/** Pseudo-random numbers from 0 to 1, the same for the same seed (mulberry32). */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** A seed for this run; whoever uses one prints it when it fails. */
export const newSeed = (): number => Number(process.env.TEST_SEED ?? Math.floor(Math.random() * 2 ** 31));

const POOL_BYTES = 1 << 16;
const pool = makePool();

function makePool(): Uint8Array {
  const random = seededRandom(1);
  return Uint8Array.from({ length: POOL_BYTES }, () => random() * 256);
}

/** Fills the first `length` bytes of a loan. @returns `length` */
export function writeChecked(bytes: Uint8Array, length: number, frame: CheckedFrame): number {
  const payload = bytes.subarray(0, length);
  const view = new DataView(payload.buffer, payload.byteOffset, length);
  for (let at = CHECKED_BYTES_MIN, from = (frame.number * 97) % POOL_BYTES; at < length; from = 0) {
    const part = pool.subarray(from, from + length - at);
    payload.set(part, at);
    at += part.length;
  }
  view.setUint32(4, length, true);
  view.setBigUint64(8, BigInt(frame.number), true);
  view.setBigUint64(16, frame.fencingToken, true);
  view.setUint32(0, crc32(payload.subarray(4)), true);
  return length;
}

/** Reads a payload back; what is wrong with it, as text, when it is not whole. */
export function readChecked(payload: Uint8Array): CheckedFrame | string {
  if (payload.length < CHECKED_BYTES_MIN) return `${payload.length} B, less than a header`;
  const view = new DataView(payload.buffer, payload.byteOffset, payload.length);
  const length = view.getUint32(4, true);
  if (length !== payload.length) return `${payload.length} B, written were ${length} B`;
  const sum = crc32(payload.subarray(4));
  if (sum !== view.getUint32(0, true)) return `checksum ${sum}, written was ${view.getUint32(0, true)}`;
  return { number: Number(view.getBigUint64(8, true)), fencingToken: view.getBigUint64(16, true) };
}
