/**
 * What a word can hold, and small numbers for it. Interning makes states comparable and hashable word by word; the numbers are
 * meaningful only within one exploration.
 */

/** 32-bit words are signed numbers, 64-bit words unsigned bigints. */
export type Value = number | bigint;

/** `parent * FAN_OUT + child` stays exact: both are below 2^26. */
const FAN_OUT = 2 ** 26;

export class Interner {
  readonly #ids = new Map<Value, number>();
  readonly #values: Value[] = [];
  readonly #tuples = new Map<number, number>();

  idOf(value: Value): number {
    const known = this.#ids.get(value);
    if (known !== undefined) return known;
    const id = this.#values.length;
    this.#ids.set(value, id);
    this.#values.push(value);
    return id;
  }

  valueOf(id: number): Value {
    const value = this.#values[id];
    if (value === undefined) throw new Error(`no value has number ${id}`);
    return value;
  }

  /** One number for the values of several words; of one word, the value's own. */
  tupleOf(memory: Int32Array, places: readonly number[]): number {
    let tuple = memory[places[0] ?? 0] ?? 0;
    for (let i = 1; i < places.length; i += 1) {
      const key = tuple * FAN_OUT + (memory[places[i] ?? 0] ?? 0);
      tuple = this.#tuples.get(key) ?? this.#newTuple(key);
    }
    return tuple;
  }

  #newTuple(key: number): number {
    const tuple = this.#tuples.size;
    this.#tuples.set(key, tuple);
    return tuple;
  }
}

/** As a person reads it in a schedule. */
export function showValue(value: Value): string {
  if (typeof value === 'number') return Math.abs(value) < 4096 ? `${value}` : `0x${(value >>> 0).toString(16)}`;
  return value < 4096n ? `${value}` : `0x${value.toString(16)}`;
}
