/**
 * A field of several elements, or of bytes, in the record that a cursor stands on. It belongs to the cursor and moves with it, so
 * that nothing is allocated to get at an element.
 */
import type { Position, TypedViews } from './position.ts';

/** What elements can be copied from and to: an array of numbers, typed or not. */
export interface NumberArray {
  readonly length: number;
  [index: number]: number;
}

/** The types of a field of several elements. */
export type ElementType = Exclude<keyof TypedViews, 'u64'>;

export interface ElementPlace {
  readonly type: ElementType;
  /** From one record to the next, in elements. */
  readonly step: number;
  /** From the start of the record, in elements. */
  readonly offset: number;
  readonly count: number;
}

export class ReadonlyElements {
  protected readonly position: Position;
  protected readonly place: ElementPlace;

  constructor(position: Position, place: ElementPlace) {
    this.position = position;
    this.place = place;
  }

  get length(): number {
    return this.place.count;
  }

  /** @throws RangeError unless `index` is below `length`. */
  get(index: number): number {
    const at = this.indexOf(index);
    return this.position.views[this.place.type][at] as number;
  }

  /** Copies all of them to the start of `target`. @throws RangeError when it is too short. */
  copyTo(target: NumberArray): void {
    const { type, count } = this.place;
    if (target.length < count) throw new RangeError(`${count} elements do not fit into ${target.length}`);
    const first = this.indexOf(0);
    const all = this.position.views[type];
    for (let i = 0; i < count; i += 1) target[i] = all[first + i] as number;
  }

  /** Where the element is among those of all records. */
  protected indexOf(index: number): number {
    const { step, offset, count } = this.place;
    if (!(Number.isInteger(index) && index >= 0 && index < count)) {
      throw new RangeError(`element ${index} of a field that has ${count}`);
    }
    return this.position.index * step + offset + index;
  }
}

export class Elements extends ReadonlyElements {
  /** @throws RangeError unless `index` is below `length`. */
  set(index: number, value: number): void {
    this.position.views[this.place.type][this.indexOf(index)] = value;
  }

  /** Copies all of `source` to the start; elements behind it become zero. @throws RangeError when it is too long. */
  copyFrom(source: ArrayLike<number>): void {
    const { length } = this;
    if (source.length > length) throw new RangeError(`${source.length} elements do not fit into ${length}`);
    const first = this.indexOf(0);
    const all = this.position.views[this.place.type];
    for (let i = 0; i < length; i += 1) all[first + i] = i < source.length ? (source[i] as number) : 0;
  }
}
