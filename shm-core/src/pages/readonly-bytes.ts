/**
 * Bytes that can be read: every way to read a Uint8Array, no way to write. At run time it is a Uint8Array over memory that is mapped
 * read-only, so a write that gets past the types kills the process.
 */
export interface ReadonlyBytes extends Iterable<number> {
  readonly length: number;
  readonly byteLength: number;
  readonly [index: number]: number;
  at(index: number): number | undefined;
  /** A copy, yours to keep. */
  slice(start?: number, end?: number): Uint8Array<ArrayBuffer>;
  /** A view of a part; lives no longer than the whole. */
  subarray(start?: number, end?: number): ReadonlyBytes;
  indexOf(value: number, fromIndex?: number): number;
  lastIndexOf(value: number, fromIndex?: number): number;
  includes(value: number, fromIndex?: number): boolean;
  every(predicate: (value: number, index: number) => boolean): boolean;
  some(predicate: (value: number, index: number) => boolean): boolean;
  find(predicate: (value: number, index: number) => boolean): number | undefined;
  findIndex(predicate: (value: number, index: number) => boolean): number;
  forEach(callback: (value: number, index: number) => void): void;
  reduce<T>(callback: (total: T, value: number, index: number) => T, initial: T): T;
  entries(): IterableIterator<[number, number]>;
  keys(): IterableIterator<number>;
  values(): IterableIterator<number>;
}
