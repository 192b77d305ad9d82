/**
 * Describes a record by its fields, with the same helpers as the project's own headers, and makes the views of it. Invariants: every field is aligned to
 * its size, the next record is as aligned as the first, and two descriptions have one hash only if they name the same fields at the same places.
 */
import { createHash } from 'node:crypto';
import {
  type Field,
  type FieldType,
  type Layout,
  packLayout,
  type ReservedField,
  type SingleField,
} from '../layout/define-layout.ts';
import type { Elements, ReadonlyElements } from './elements.ts';
import { CursorFactory } from './record-cursor.ts';

/** A field, or the helper that makes it: `x: f64` is `x: f64('')`. */
export type RecordField = Field | ((doc: string) => Field);
export type RecordFields = Readonly<Record<string, RecordField>>;

type Declared<F> = F extends (doc: string) => infer Made ? Made : F;
type Singles<Fields> = {
  [Name in keyof Fields]: Declared<Fields[Name]> extends SingleField ? Name : never;
}[keyof Fields];
type Severals<Fields> = {
  [Name in keyof Fields]: Declared<Fields[Name]> extends SingleField | ReservedField ? never : Name;
}[keyof Fields];
type NumberOf<F> = F extends SingleField<infer Type extends FieldType> ? ('u64' extends Type ? bigint : number) : never;
type CopyOf<F> = F extends Field<'bytes'> ? Uint8Array<ArrayBuffer> : number[];

/** A record in shared memory, field by field. It moves: see `SharedVector`. */
export type RecordView<Fields> = { [Name in Singles<Fields>]: NumberOf<Declared<Fields[Name]>> } & {
  readonly [Name in Severals<Fields>]: Elements;
};
/** The same without a way to write: an assignment does not compile, and is a TypeError. */
export type ReadonlyRecordView<Fields> = {
  readonly [Name in Singles<Fields>]: NumberOf<Declared<Fields[Name]>>;
} & { readonly [Name in Severals<Fields>]: ReadonlyElements };
/** What a record was: a plain object, yours to keep. */
export type RecordCopy<Fields> = { [Name in Singles<Fields>]: NumberOf<Declared<Fields[Name]>> } & {
  [Name in Severals<Fields>]: CopyOf<Declared<Fields[Name]>>;
};

/**
 * Describes a record: `record({ x: f64, y: f64, id: u32('identity, from 1') })`. Its size is rounded up to its widest field.
 * @throws RangeError when a field is not aligned to its size (put wider fields first, or `reserved(n)` before it), is called what a
 *   property of an object cannot be, or when there is none.
 */
export function record<const Fields extends RecordFields>(fields: Fields): RecordType<Fields> {
  return new RecordType(fields);
}

/** The description of a record. Made by `record`. */
export class RecordType<Fields extends RecordFields> {
  readonly layout: Layout<Extract<keyof Fields, string>>;
  /** From one record to the next, B. */
  readonly recordBytes: number;
  /** Equal for equal descriptions, in whatever program: the first 8 bytes of a SHA-256, as two words. */
  readonly layoutHash: readonly [number, number];
  /** For vectors: what makes views, and knows where one stands. */
  readonly readonlyCursors: CursorFactory<ReadonlyRecordView<Fields>>;
  readonly writableCursors: CursorFactory<RecordView<Fields>>;

  constructor(fields: Fields) {
    const declared: Record<string, Field> = {};
    for (const [name, field] of Object.entries(fields)) {
      checkName(name);
      declared[name] = typeof field === 'function' ? field('') : field;
    }
    this.layout = packLayout(declared) as Layout<Extract<keyof Fields, string>>;
    this.recordBytes = this.layout.bytes;
    if (this.recordBytes === 0) throw new RangeError('a record has at least one field');
    this.layoutHash = hashOf(describe(this.layout));
    this.readonlyCursors = new CursorFactory(this.layout, 'readonly');
    this.writableCursors = new CursorFactory(this.layout, 'writable');
  }

  /** The record that a view stands on, as a plain object: what to keep when the view moves on. */
  copy(view: ReadonlyRecordView<Fields>): RecordCopy<Fields> {
    const copied: Record<string, unknown> = {};
    for (const field of this.layout.fields) {
      if (field.reserved) continue;
      const value = (view as Readonly<Record<string, unknown>>)[field.name];
      copied[field.name] = field.several ? copyOf(value as ReadonlyElements, field.type) : value;
    }
    return copied as RecordCopy<Fields>;
  }
}

function copyOf(elements: ReadonlyElements, type: FieldType): Uint8Array | number[] {
  const copy = type === 'bytes' ? new Uint8Array(elements.length) : new Array<number>(elements.length).fill(0);
  elements.copyTo(copy);
  return copy;
}

function checkName(name: string): void {
  const usable = /^[A-Za-z_][A-Za-z0-9_]*$/.test(name) && !(name in Object.prototype);
  if (!usable) throw new RangeError(`a field cannot be called ${JSON.stringify(name)}: use letters, digits and _`);
}

/** Everything that a reader and a writer must agree on, as text: `24|x:f64[1]@0|y:f64[1]@8|id:u32[1]@16`. */
function describe({ bytes, fields }: Layout): string {
  const lines = fields.map(({ name, type, count, offset, reserved }) =>
    reserved ? `-:${type}[${count}]@${offset}` : `${name}:${type}[${count}]@${offset}`,
  );
  return [bytes, ...lines].join('|');
}

function hashOf(description: string): readonly [number, number] {
  const digest = createHash('sha256').update(description).digest();
  return [digest.readUInt32LE(0), digest.readUInt32LE(4)];
}
