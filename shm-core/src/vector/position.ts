/** Where a cursor stands: on which memory, seen as each type of number, and on which record of it. */

/** All records, as each type of number. Indices are in elements, from the first record. */
export interface TypedViews {
  readonly u8: Uint8Array;
  readonly u16: Uint16Array;
  readonly u32: Uint32Array;
  readonly i32: Int32Array;
  readonly f32: Float32Array;
  readonly u64: BigUint64Array;
  readonly f64: Float64Array;
  readonly bytes: Uint8Array;
}

/** Moved by whoever owns the cursor; everything that the cursor gives out looks here at each use. */
export interface Position {
  views: TypedViews;
  index: number;
}

/** @throws RangeError when the bytes are not aligned as records must be. */
export function typedViews(bytes: Uint8Array): TypedViews {
  const { buffer, byteOffset, length } = bytes;
  if (byteOffset % 8 !== 0) throw new RangeError(`records at byte ${byteOffset} of a buffer are not aligned to 8 B`);
  const u8 = new Uint8Array(buffer, byteOffset, length);
  const [halves, words, longs] = [2, 4, 8].map((size) => Math.floor(length / size));
  return {
    u8,
    u16: new Uint16Array(buffer, byteOffset, halves),
    u32: new Uint32Array(buffer, byteOffset, words),
    i32: new Int32Array(buffer, byteOffset, words),
    f32: new Float32Array(buffer, byteOffset, words),
    u64: new BigUint64Array(buffer, byteOffset, longs),
    f64: new Float64Array(buffer, byteOffset, longs),
    bytes: u8,
  };
}
