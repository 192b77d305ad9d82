/**
 * The view of one record: an object with one property per field, which reads and writes the shared bytes and can be moved to another
 * record. Invariants: moving it and using its properties allocates nothing (but for the bigint of a u64); it has no other
 * properties, so that a field may have any name; nothing here checks a bound: whoever places it has done that.
 */
import { ELEMENT_BYTES, type Field, type FieldType, type Layout } from '../layout/define-layout.ts';
import { type ElementPlace, Elements, type ElementType, ReadonlyElements } from './elements.ts';
import type { Position } from './position.ts';

type SingleType = Exclude<FieldType, 'bytes'>;
type Accessor = (step: number, offset: number) => PropertyDescriptor & ThisType<RecordCursor>;
type PlacedField = Layout['fields'][number];

export class RecordCursor {
  readonly #position: Position;
  readonly #elements: readonly ReadonlyElements[];

  constructor(position: Position, elements: readonly ReadonlyElements[]) {
    this.#position = position;
    this.#elements = elements;
  }

  static positionOf(cursor: RecordCursor): Position {
    return cursor.#position;
  }

  static elements(index: number): PropertyDescriptor & ThisType<RecordCursor> {
    return {
      get() {
        return this.#elements[index];
      },
    };
  }

  // One pair of functions for each type, not one for all: an access is then to one kind of array, which is what makes it a load.
  static readonly accessors: Readonly<Record<SingleType, Accessor>> = {
    u8: (step, offset) => ({
      get() {
        return this.#position.views.u8[this.#position.index * step + offset];
      },
      set(value: number) {
        this.#position.views.u8[this.#position.index * step + offset] = value;
      },
    }),
    u16: (step, offset) => ({
      get() {
        return this.#position.views.u16[this.#position.index * step + offset];
      },
      set(value: number) {
        this.#position.views.u16[this.#position.index * step + offset] = value;
      },
    }),
    u32: (step, offset) => ({
      get() {
        return this.#position.views.u32[this.#position.index * step + offset];
      },
      set(value: number) {
        this.#position.views.u32[this.#position.index * step + offset] = value;
      },
    }),
    i32: (step, offset) => ({
      get() {
        return this.#position.views.i32[this.#position.index * step + offset];
      },
      set(value: number) {
        this.#position.views.i32[this.#position.index * step + offset] = value;
      },
    }),
    f32: (step, offset) => ({
      get() {
        return this.#position.views.f32[this.#position.index * step + offset];
      },
      set(value: number) {
        this.#position.views.f32[this.#position.index * step + offset] = value;
      },
    }),
    u64: (step, offset) => ({
      get() {
        return this.#position.views.u64[this.#position.index * step + offset];
      },
      set(value: bigint) {
        this.#position.views.u64[this.#position.index * step + offset] = value;
      },
    }),
    f64: (step, offset) => ({
      get() {
        return this.#position.views.f64[this.#position.index * step + offset];
      },
      set(value: number) {
        this.#position.views.f64[this.#position.index * step + offset] = value;
      },
    }),
  };
}

/** Makes cursors of one record layout. The properties of `readonly` ones have no setter: an assignment is a TypeError. */
export class CursorFactory<View extends object> {
  readonly #Cursor: typeof RecordCursor;
  readonly #Elements: typeof ReadonlyElements;
  readonly #places: readonly ElementPlace[];

  constructor(layout: Layout, access: 'readonly' | 'writable') {
    const meaningful = layout.fields.filter((field) => !field.reserved);
    const several = meaningful.filter(isSeveral);
    this.#Cursor = class extends RecordCursor {};
    this.#Elements = access === 'writable' ? Elements : ReadonlyElements;
    this.#places = several.map((field) => ({ ...placeOf(field, layout.bytes), type: field.type, count: field.count }));
    for (const field of meaningful) {
      const accessor = isSeveral(field) ? RecordCursor.elements(several.indexOf(field)) : singleAccessor(field, layout);
      if (access === 'readonly') delete accessor.set;
      Object.defineProperty(this.#Cursor.prototype, field.name, { ...accessor, enumerable: true });
    }
  }

  create(position: Position): View {
    const elements = this.#places.map((place) => new this.#Elements(position, place));
    const cursor: RecordCursor = new this.#Cursor(position, elements);
    return cursor as RecordCursor & View;
  }

  /** Where a cursor stands. @throws TypeError unless this factory made it. */
  positionOf(cursor: View): Position {
    if (cursor instanceof this.#Cursor) return RecordCursor.positionOf(cursor);
    throw new TypeError('not a view of a record of this vector: take one from viewAt()');
  }
}

const isSeveral = (field: PlacedField): field is PlacedField & Field<ElementType> => field.several;

const placeOf = (field: PlacedField, recordBytes: number): { step: number; offset: number } => {
  const elementBytes = ELEMENT_BYTES[field.type];
  return { step: recordBytes / elementBytes, offset: field.offset / elementBytes };
};

function singleAccessor(field: PlacedField, layout: Layout): PropertyDescriptor {
  const { step, offset } = placeOf(field, layout.bytes);
  return RecordCursor.accessors[field.type === 'bytes' ? 'u8' : field.type](step, offset);
}
