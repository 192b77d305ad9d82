/**
 * The words of the system under exploration: for each a place, where the number of its value is. The hash of all of them is kept up to
 * date with each store, and does not depend on words that still are what they were at the start, so that a word can be added any time.
 */
import type { AddressSpace } from './address-space.ts';
import { Interner, type Value } from './values.ts';

const PLACES_MAX = 4096;

/** A 32-bit number from a place, a value and a seed; for two seeds nearly independent. */
export function mix(place: number, value: number, seed: number): number {
  let hash = Math.imul(place + 1, 0x9e37_79b1) ^ Math.imul(value + 1, seed);
  hash = Math.imul(hash ^ (hash >>> 16), 0x7feb_352d);
  hash = Math.imul(hash ^ (hash >>> 15) ^ seed, 0x846c_a68b);
  return hash ^ (hash >>> 16);
}

export const SEED_LOW = 0x85eb_ca6b | 0;
export const SEED_HIGH = 0x27d4_eb2f;

export class ModelMemory {
  readonly #space: AddressSpace;
  readonly interner = new Interner();
  readonly #places = new Map<number, number>();
  readonly #ids = new Int32Array(PLACES_MAX);
  readonly #initial = new Int32Array(PLACES_MAX);
  hashLow = 0;
  hashHigh = 0;

  constructor(space: AddressSpace) {
    this.#space = space;
  }

  /** How many words there are. */
  get size(): number {
    return this.#places.size;
  }

  placeOf(address: number): number {
    const known = this.#places.get(address);
    if (known !== undefined) return known;
    const place = this.#places.size;
    if (place === PLACES_MAX) throw new Error(`more than ${PLACES_MAX} words are shared`);
    const id = this.interner.idOf(this.#space.initialOf(address));
    this.#places.set(address, place);
    this.#ids[place] = id;
    this.#initial[place] = id;
    return place;
  }

  idOf(value: Value): number {
    return this.interner.idOf(value);
  }
  idAt(place: number): number {
    return this.#ids[place] ?? 0;
  }
  valueAt(place: number): Value {
    return this.interner.valueOf(this.idAt(place));
  }
  tupleAt(places: readonly number[]): number {
    return this.interner.tupleOf(this.#ids, places);
  }

  storeId(place: number, id: number): void {
    const before = this.#ids[place] ?? 0;
    if (before === id) return;
    this.#ids[place] = id;
    this.#toggle(place, before);
    this.#toggle(place, id);
  }

  #toggle(place: number, id: number): void {
    if (id === this.#initial[place]) return;
    this.hashLow ^= mix(place, id, SEED_LOW);
    this.hashHigh ^= mix(place, id, SEED_HIGH);
  }
}
