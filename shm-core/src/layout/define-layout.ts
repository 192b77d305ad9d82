/**
 * Declares a region of shared memory once, field by field; offsets, accessor indices and the documentation tables derive from
 * it. Invariants: offsets are a running sum, every field is aligned to its own size, and the total is the stated one.
 */

export type FieldType = 'u32' | 'u64' | 'f64' | 'bytes';

/** One field: its type, how many elements, and who may write it, as prose for docs/ABI.md. */
export interface Field {
  readonly type: FieldType;
  readonly count: number;
  readonly doc: string;
  readonly reserved: boolean;
}

const ELEMENT_BYTES: Readonly<Record<FieldType, number>> = { u32: 4, u64: 8, f64: 8, bytes: 1 };

const field = (type: FieldType, count: number, doc: string, reserved = false): Field => ({
  type,
  count,
  doc,
  reserved,
});

export const u32 = (doc: string): Field => field('u32', 1, doc);
export const u32s = (count: number, doc: string): Field => field('u32', count, doc);
export const u64 = (doc: string): Field => field('u64', 1, doc);
export const f64 = (doc: string): Field => field('f64', 1, doc);
export const byteField = (count: number, doc: string): Field => field('bytes', count, doc);
/** Bytes that are zero and stay zero: padding that keeps fields of different writers apart, or room for later. */
export const reserved = (count: number): Field => field('bytes', count, 'zero', true);

/** Where each field of a region is. */
export interface Layout<Name extends string = string> {
  readonly bytes: number;
  /** Offset of each field, B. */
  readonly at: Readonly<Record<Name, number>>;
  /** Offset of each field in 32-bit words; only meaningful for fields of whole words. */
  readonly word: Readonly<Record<Name, number>>;
  readonly fields: readonly (Field & { readonly name: string; readonly offset: number })[];
}

/** @throws RangeError when a field is misaligned or the fields do not add up to `bytes`. */
export function defineLayout<const Fields extends Readonly<Record<string, Field>>>(
  bytes: number,
  fields: Fields,
): Layout<Extract<keyof Fields, string>> {
  const at: Record<string, number> = {};
  const word: Record<string, number> = {};
  const placed: (Field & { name: string; offset: number })[] = [];
  let offset = 0;
  for (const [name, declared] of Object.entries(fields)) {
    const elementBytes = ELEMENT_BYTES[declared.type];
    if (offset % elementBytes !== 0) {
      throw new RangeError(
        `layout: ${name} (${declared.type}) would start at ${offset}, which is not a multiple of ${elementBytes}`,
      );
    }
    at[name] = offset;
    word[name] = offset / 4;
    placed.push({ ...declared, name, offset });
    offset += elementBytes * declared.count;
  }
  if (offset !== bytes) throw new RangeError(`layout: fields add up to ${offset} B, not ${bytes} B`);
  return { bytes, at, word, fields: placed } as Layout<string> as Layout<Extract<keyof Fields, string>>;
}
