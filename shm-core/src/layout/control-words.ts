/**
 * Control words: what several processes decide by. They are touched through these functions and in no other way, each of which is
 * one `Atomics` operation (but the plain ones, which say why). The types have no index signature, so that a plain access does not compile: it could be torn or
 * reordered, and the explorer of interleavings, which steps from one `Atomics` operation to the next, would not see it.
 */

declare const kind: unique symbol;

/** 32-bit control words. Values are signed, as an Int32Array holds them. */
export interface ControlWords {
  readonly [kind]: 'words32';
  readonly length: number;
}
/** 64-bit control words. Values are unsigned. */
export interface WideControlWords {
  readonly [kind]: 'words64';
  readonly length: number;
}

/** Control words over what `words` is on. */
export const controlWords = (words: Uint32Array | Int32Array): ControlWords =>
  new Int32Array(words.buffer, words.byteOffset, words.length) as unknown as ControlWords;
/** The same memory, 64 bits at a time. */
export const wideControlWords = (words: Uint32Array | Int32Array): WideControlWords =>
  new BigUint64Array(words.buffer, words.byteOffset, words.length / 2) as unknown as WideControlWords;

const wide = (words: WideControlWords): BigUint64Array => words as unknown as BigUint64Array;

export const load32 = (words: ControlWords, index: number): number =>
  Atomics.load(words as unknown as Int32Array, index);
export function store32(words: ControlWords, index: number, value: number): void {
  Atomics.store(words as unknown as Int32Array, index, value);
}
/**
 * A plain store, for a word that nobody looks at before he has seen what this thread's next `Atomics` operation stores: that one makes
 * it visible, and no full barrier is paid for. Whatever must be loaded after the store has to be loaded after that operation.
 */
export function storeAhead32(words: ControlWords, index: number, value: number): void {
  const plain = words as unknown as Int32Array;
  plain[index] = value;
}
/** A plain load, for a word that does not change while it can be looked at: what said so was loaded before. */
export function loadStable32(words: ControlWords, index: number): number {
  const plain = words as unknown as Int32Array;
  return plain[index] as number;
}
/**
 * A plain load, which costs a tenth of an atomic one: no older than the thread's last `Atomics` load, as new as any when that has seen what
 * was stored after the word. For what is so ordered, for what an `Atomics` operation then confirms, and for what is looked at again.
 */
export function peek32(words: ControlWords, index: number): number {
  const plain = words as unknown as Int32Array;
  const seen = plain[index];
  return seen as number;
}
/** The same for a 64-bit word of which the halves are expected; no bigint is made. */
export function peekIs64(words: ControlWords, index: number, low: number, high: number): boolean {
  const plain = words as unknown as Int32Array;
  return plain[index + 1] === high && plain[index] === low;
}
/** Stores `next` if the word is `expected`; tells whether it was. */
export const cas32 = (words: ControlWords, index: number, expected: number, next: number): boolean =>
  Atomics.compareExchange(words as unknown as Int32Array, index, expected, next) === expected;
/** @returns the value before. */
export const add32 = (words: ControlWords, index: number, by: number): number =>
  Atomics.add(words as unknown as Int32Array, index, by);
export function and32(words: ControlWords, index: number, mask: number): void {
  Atomics.and(words as unknown as Int32Array, index, mask);
}
export function or32(words: ControlWords, index: number, mask: number): void {
  Atomics.or(words as unknown as Int32Array, index, mask);
}

export const load64 = (words: WideControlWords, index: number): bigint => Atomics.load(wide(words), index);
export function store64(words: WideControlWords, index: number, value: bigint): void {
  Atomics.store(wide(words), index, value);
}
/** Stores `next` if the word is `expected`; tells whether it was. */
export const cas64 = (words: WideControlWords, index: number, expected: bigint, next: bigint): boolean =>
  Atomics.compareExchange(wide(words), index, expected, next) === expected;
/** @returns the value before. */
export const add64 = (words: WideControlWords, index: number, by: bigint): bigint =>
  Atomics.add(wide(words), index, by);
