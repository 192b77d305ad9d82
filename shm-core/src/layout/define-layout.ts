/**
 * Declares a region of shared memory once, field by field; offsets, accessor indices and the documentation tables derive from
 * it. Invariants: offsets are a running sum, every field is aligned to its own size, and the total is the stated one.
 */

export type FieldType = 'u8' | 'u16' | 'u32' | 'i32' | 'f32' | 'u64' | 'f64' | 'bytes';

/** One field: its type, how many elements, and who may write it, as prose for docs/ABI.md. */
export interface Field<Type extends FieldType = FieldType> {
  readonly type: Type;
  readonly count: number;
  readonly doc: string;
  readonly reserved: boolean;
  /** Declared as several elements, be it one. */
  readonly several: boolean;
}
/** One number. */
export interface SingleField<Type extends FieldType = FieldType> extends Field<Type> {
  readonly reserved: false;
  readonly several: false;
}
/** A row of numbers, or bytes. */
export interface SeveralField<Type extends FieldType = FieldType> extends Field<Type> {
  readonly reserved: false;
  readonly several: true;
}
/** Bytes without a meaning. */
export interface ReservedField extends Field<'bytes'> {
  readonly reserved: true;
}

/** Size and alignment of one element, B. */
export const ELEMENT_BYTES: Readonly<Record<FieldType, number>> = {
  u8: 1,
  u16: 2,
  u32: 4,
  i32: 4,
  f32: 4,
  u64: 8,
  f64: 8,
  bytes: 1,
};

function single<Type extends FieldType>(type: Type, doc: string): SingleField<Type> {
  return { type, count: 1, doc, reserved: false, several: false };
}
function several<Type extends FieldType>(type: Type, count: number, doc: string): SeveralField<Type> {
  return { type, count, doc, reserved: false, several: true };
}

export const u8 = (doc: string): SingleField<'u8'> => single('u8', doc);
export const u16 = (doc: string): SingleField<'u16'> => single('u16', doc);
export const u32 = (doc: string): SingleField<'u32'> => single('u32', doc);
export const u32s = (count: number, doc: string): SeveralField<'u32'> => several('u32', count, doc);
export const i32 = (doc: string): SingleField<'i32'> => single('i32', doc);
export const f32 = (doc: string): SingleField<'f32'> => single('f32', doc);
export const f32s = (count: number, doc: string): SeveralField<'f32'> => several('f32', count, doc);
export const u64 = (doc: string): SingleField<'u64'> => single('u64', doc);
export const f64 = (doc: string): SingleField<'f64'> => single('f64', doc);
export const byteField = (count: number, doc: string): SeveralField<'bytes'> => several('bytes', count, doc);
/** Bytes that are zero and stay zero: padding that keeps fields of different writers apart, or room for later. */
export const reserved = (count: number): ReservedField => ({
  type: 'bytes',
  count,
  doc: 'zero',
  reserved: true,
  several: true,
});

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
  const { end, ...placed } = place(fields);
  if (end !== bytes) throw new RangeError(`layout: fields add up to ${end} B, not ${bytes} B`);
  return { bytes, ...placed };
}

/**
 * As `defineLayout`, for one record of many in a row: the size is what the fields add up to, rounded up so that the next record is
 * aligned too.
 * @throws RangeError when a field is misaligned, or a number of elements is not a positive whole number.
 */
export function packLayout<const Fields extends Readonly<Record<string, Field>>>(
  fields: Fields,
): Layout<Extract<keyof Fields, string>> {
  const { end, ...placed } = place(fields);
  const alignment = Math.max(1, ...placed.fields.map((each) => ELEMENT_BYTES[each.type]));
  return { bytes: Math.ceil(end / alignment) * alignment, ...placed };
}

/** A copy in which V8 finds a name once and for all: an object to which many names were added one by one is a dictionary, searched at each use. */
const settled = (offsets: Readonly<Record<string, number>>): Record<string, number> =>
  JSON.parse(JSON.stringify(offsets)) as Record<string, number>;

type Placed<Name extends string> = Omit<Layout<Name>, 'bytes'> & { readonly end: number };

function place<const Fields extends Readonly<Record<string, Field>>>(
  fields: Fields,
): Placed<Extract<keyof Fields, string>> {
  const at: Record<string, number> = {};
  const word: Record<string, number> = {};
  const placed: (Field & { name: string; offset: number })[] = [];
  let offset = 0;
  for (const [name, declared] of Object.entries(fields)) {
    const elementBytes = ELEMENT_BYTES[declared.type];
    if (!Number.isSafeInteger(declared.count) || declared.count < 1) {
      throw new RangeError(`layout: ${name} cannot have ${declared.count} elements; 1 or more it must be`);
    }
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
  return { at: settled(at), word: settled(word), fields: placed, end: offset } as Placed<string> as Placed<
    Extract<keyof Fields, string>
  >;
}
