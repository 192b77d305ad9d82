/**
 * A vector as a reader sees it: how long it is, its records by index and one after the other. Invariants: a record is only ever
 * looked at below a length that was loaded before; nothing is allocated per access or per step, because views move.
 */

import type { Position } from './position.ts';
import type { ReadonlyRecordView, RecordCopy, RecordFields, RecordType } from './record.ts';
import type { CursorFactory } from './record-cursor.ts';
import type { RecordStore } from './record-store.ts';

/** What a vector is made of. */
export interface VectorParts<Fields extends RecordFields, View extends object> {
  readonly record: RecordType<Fields>;
  readonly store: RecordStore;
  readonly cursors: CursorFactory<View>;
}

/**
 * A vector that somebody else writes. Made by `SharedVector.open`.
 *
 * VIEWS MOVE. `at(i)` gives the same object each time, on another record; so does each step of `for (const p of vector)`. What
 * is to be kept past the next `at` or the next step is copied: `record.copy(p)`, `toArray()`. `viewAt(i)` gives a view of its own.
 */
export class VectorReader<Fields extends RecordFields, View extends object = ReadonlyRecordView<Fields>>
  implements Iterable<View>
{
  readonly record: RecordType<Fields>;
  readonly #store: RecordStore;
  readonly #cursors: CursorFactory<View>;
  readonly #view: View;

  constructor({ record, store, cursors }: VectorParts<Fields, View>) {
    this.record = record;
    this.#store = store;
    this.#cursors = cursors;
    this.#view = this.#newView();
  }

  /** Records in the vector now. Every byte of every one of them was stored before this length was. */
  get length(): number {
    return this.#store.length();
  }

  /** Records that there is room for, without more memory. */
  get capacity(): number {
    return this.#store.capacity();
  }

  /**
   * The record at `index`: `view`, moved there, or else the one view that all calls without it share.
   * @throws RangeError unless `index` is below `length`; TypeError for a view of something else.
   */
  at(index: number, view: View = this.#view): View {
    const length = this.#store.length();
    // The negation refuses NaN as well.
    if (!(index >= 0 && index < length && Number.isInteger(index))) {
      throw new RangeError(`record ${index} of a vector that has ${length}`);
    }
    this.#store.place(this.#cursors.positionOf(view), index);
    return view;
  }

  /** A view of your own, on the record at `index`. Allocates: take one and move it with `at(i, view)`. */
  viewAt(index: number): View {
    return this.at(index, this.#newView());
  }

  /** Copies of all records, yours to keep. */
  toArray(): RecordCopy<Fields>[] {
    const copies: RecordCopy<Fields>[] = [];
    for (const view of this) copies.push(this.record.copy(view as ReadonlyRecordView<Fields>));
    return copies;
  }

  /**
   * The records there are now, in order. ONE VIEW SERVES ALL STEPS of an iteration: `[...vector]` is many times the last record;
   * use `toArray()`. Ends early when the vector gets shorter meanwhile; what is pushed meanwhile is left out.
   */
  [Symbol.iterator](): Iterator<View, undefined> {
    const view = this.#newView();
    return new RecordIterator(this.#store, view, this.#cursors.positionOf(view));
  }

  #newView(): View {
    return this.#cursors.create({ views: this.#store.views, index: 0 });
  }
}

/** Gives out one result object, one view, and nothing else. */
class RecordIterator<View> implements Iterator<View, undefined> {
  readonly #store: RecordStore;
  readonly #position: Position;
  readonly #bound: number;
  readonly #step: { done: false; value: View };
  #next = 0;

  constructor(store: RecordStore, view: View, position: Position) {
    this.#store = store;
    this.#position = position;
    this.#bound = store.length();
    this.#step = { done: false, value: view };
  }

  next(): IteratorResult<View, undefined> {
    const index = this.#next;
    // The length is looked at again: a record that was popped may be on a page that was given back.
    if (index >= this.#bound || index >= this.#store.length()) {
      this.#next = this.#bound;
      return { done: true, value: undefined };
    }
    this.#next = index + 1;
    this.#store.place(this.#position, index);
    return this.#step;
  }
}
