/**
 * A vector of fixed-size records, for its one writer. Invariants: the bytes of a record are stored before the length that covers
 * it, and a length is lowered before anything happens to the records it covered; no byte is written on a page that was given back
 * and not populated since, so that a machine without memory gives an error and not a signal.
 */
import { CapacityError, InvalidVectorError } from './errors.ts';
import { MAX_RECORDS } from './header.ts';
import type { Position } from './position.ts';
import type { ReadonlyRecordView, RecordCopy, RecordFields, RecordType, RecordView } from './record.ts';
import { offsetOf, RecordStore, recordsIn } from './record-store.ts';
import type { ReadableVectorMemory, VectorMemory } from './vector-memory.ts';
import { VectorReader } from './vector-reader.ts';

/** Memory that was given back is populated again in steps of this, or of a page where that is more, B. */
const POPULATE_STEP_BYTES = 2 ** 20;

/**
 * Records one after the other, in memory that other processes may read meanwhile. ONE WRITER AT A TIME is the contract: on a
 * mapping, hold its exclusive lease while you change the vector. VIEWS MOVE, see `VectorReader`.
 */
export class SharedVector<Fields extends RecordFields> extends VectorReader<Fields, RecordView<Fields>> {
  readonly #memory: VectorMemory;
  readonly #store: RecordStore;
  readonly #position: Position;
  readonly #added: RecordView<Fields>;
  readonly #popped: ReadonlyRecordView<Fields>;
  #filling = false;

  private constructor(memory: VectorMemory, record: RecordType<Fields>, store: RecordStore) {
    super({ record, store, cursors: record.writableCursors });
    this.#memory = memory;
    this.#store = store;
    this.#position = { views: store.views, index: 0 };
    this.#added = record.writableCursors.create(this.#position);
    this.#popped = record.readonlyCursors.create(this.#position);
  }

  /**
   * An empty vector over all of the memory, whatever was there before. All of it must be populated, as granted memory is.
   * @throws InvalidVectorError when it has no room for one record.
   */
  static create<Fields extends RecordFields>(memory: VectorMemory, record: RecordType<Fields>): SharedVector<Fields> {
    return new SharedVector(memory, record, RecordStore.create(memory, record));
  }

  /**
   * For readers, who may be many, in other processes, while the writer goes on. The memory may be mapped read-only.
   * @throws InvalidVectorError when there is no vector of these records.
   */
  static open<Fields extends RecordFields>(
    memory: ReadableVectorMemory,
    record: RecordType<Fields>,
  ): VectorReader<Fields> {
    return new VectorReader({ record, store: RecordStore.open(memory, record), cursors: record.readonlyCursors });
  }

  /**
   * For the next writer of a vector that is there already.
   * @throws InvalidVectorError when there is no vector of these records.
   */
  static openForWriting<Fields extends RecordFields>(
    memory: VectorMemory,
    record: RecordType<Fields>,
  ): SharedVector<Fields> {
    return new SharedVector(memory, record, RecordStore.open(memory, record));
  }

  /**
   * Adds a record: `fill` gets a view of it, all zero. Nothing is added when `fill` throws, changes the vector or is asynchronous.
   * @returns its index.
   * @throws CapacityError when the vector is full; OsError when its page was given back and the machine has none.
   */
  push(fill: (record: RecordView<Fields>) => void): number {
    const index = this.#store.length();
    const capacity = this.#store.capacity();
    if (index >= capacity) throw new CapacityError(index + 1, capacity, this.#advice());
    this.#append(index, fill);
    return index;
  }

  /**
   * As `push`, but says by its result whether there was room.
   * @throws OsError when the record's page was given back and the machine has none.
   */
  pushWithinCapacity(fill: (record: RecordView<Fields>) => void): boolean {
    const index = this.#store.length();
    if (index >= this.#store.capacity()) return false;
    this.#append(index, fill);
    return true;
  }

  /**
   * As `push`, but makes the memory grow when the vector is full: to twice the size, or by less, down to one record, where
   * that much is not to be had. Calls need not wait for one another; their records stand in the order in which there was room.
   * @throws CapacityError when the memory cannot grow; whatever the memory throws when it may not.
   */
  async pushGrowing(fill: (record: RecordView<Fields>) => void): Promise<number> {
    // Again, when other calls have used up the new room meanwhile. The capacity rises each time, so this ends whatever others write.
    for (let before = 0; this.#store.length() >= this.#store.capacity(); ) {
      const capacity = this.#store.capacity();
      if (capacity <= before)
        throw new InvalidVectorError(`room for ${capacity} records, after it had been made larger`);
      before = capacity;
      await this.#growBy(capacity);
    }
    return this.push(fill);
  }

  /** By half as many again and again: memory that is nearly used up is used up in few steps. */
  async #growBy(records: number): Promise<void> {
    try {
      await this.#growFrom(this.#store.capacity(), records);
    } catch (error) {
      if (records <= 1) throw error;
      // Who may have no more at all learns it at once, and not after a question for each power of two.
      await this.#growFrom(this.#store.capacity(), 1);
      await this.#growByLess(Math.floor(records / 2));
    }
  }

  /** What can be had; room for one record is there already. */
  async #growByLess(records: number): Promise<void> {
    if (records <= 1) return;
    try {
      await this.#growFrom(this.#store.capacity(), records);
    } catch {
      await this.#growByLess(Math.floor(records / 2));
    }
  }

  async #growFrom(capacity: number, records: number): Promise<void> {
    await this.#grow(Math.max(capacity + 1, Math.min(capacity + records, MAX_RECORDS)));
  }

  /**
   * Makes room for `additional` more records than there are: the next so many calls of `push` do not fail for want of memory.
   * @throws CapacityError when the memory cannot grow so far; whatever the memory throws when it may not; InvalidVectorError when pages are
   *   given back (`clearDecommit`) while it waits.
   */
  async reserve(additional: number): Promise<void> {
    if (!(Number.isSafeInteger(additional) && additional >= 0)) {
      throw new RangeError(`reserve: ${additional} is not a number of records`);
    }
    const needed = this.#store.length() + additional;
    if (needed > this.#store.capacity()) await this.#grow(needed);
    // By a number that only rises, not by the shared words: a loop over shared memory must end whatever others write there.
    for (let populated = this.#store.header.populated; populated < needed; ) {
      const from = populated;
      populated = this.#populate(from);
      if (populated <= from) throw new InvalidVectorError(`room for ${populated} records, where there was more`);
      await new Promise((resume) => setImmediate(resume));
      // IMPORTANT: going on would vouch for those pages too, and the next push would write where there is nothing.
      if (this.#store.header.populated < populated) {
        throw new InvalidVectorError('pages were given back meanwhile: await reserve() before clearDecommit()');
      }
    }
  }

  /** Takes the last record away; gives what `read` makes of it, or a copy; undefined when the vector is empty. */
  pop(): RecordCopy<Fields> | undefined;
  pop<T>(read: (record: ReadonlyRecordView<Fields>) => T): T | undefined;
  pop<T>(read?: (record: ReadonlyRecordView<Fields>) => T): T | RecordCopy<Fields> | undefined {
    this.#refuseInFill();
    const length = this.#store.length();
    if (length === 0) return undefined;
    this.#changeLength(length, length - 1);
    this.#store.place(this.#position, length - 1);
    return read === undefined ? this.record.copy(this.#popped) : read(this.#popped);
  }

  /** Takes all records away and keeps the memory. */
  clear(): void {
    this.#refuseInFill();
    // Revives a header whose lease was renewed, and says so when the memory is closed.
    this.#store.capacity();
    this.#store.header.shorten(0);
  }

  /**
   * As `clear`, and gives the memory back to the system, except for the page of the header: the machine has it, the capacity stays. Pages come
   * back, zero, step by step as records are pushed, or by `reserve`.
   */
  clearDecommit(): void {
    this.#refuseInFill();
    const { recordBytes } = this.record;
    const { pageBytes } = this.#memory;
    const end = offsetOf(this.#store.capacity(), recordBytes);
    const from = pageBytes;
    const to = Math.min(roundUp(end, pageBytes), roundDown(this.#memory.sizeBytes, pageBytes));
    this.#store.header.shorten(0);
    if (to <= from) return;
    // IMPORTANT: the length, then what is populated, then the pages. A writer that dies in between leaves a vector that populates
    // pages which are there already; the other way round, the next writer would write on pages that are not.
    this.#store.header.populated = recordsIn(from, recordBytes);
    this.#memory.discard(from, to - from);
  }

  #append(index: number, fill: (record: RecordView<Fields>) => void): void {
    this.#refuseInFill();
    if (index >= this.#store.header.populated) this.#populate(index);
    const { recordBytes } = this.record;
    const { views } = this.#store;
    views.bytes.fill(0, index * recordBytes, (index + 1) * recordBytes);
    this.#store.place(this.#position, index);
    this.#callFill(fill);
    // IMPORTANT: the length last, atomically: whoever sees it sees every byte that `fill` stored before.
    this.#changeLength(index, index + 1);
  }

  #callFill(fill: (record: RecordView<Fields>) => unknown): void {
    this.#filling = true;
    try {
      if (fill(this.#added) instanceof Promise) {
        throw new TypeError('a fill function is not asynchronous: its view will stand on another record by then');
      }
    } finally {
      this.#filling = false;
    }
  }

  #refuseInFill(): void {
    if (!this.#filling) return;
    throw new InvalidVectorError('a vector has one writer at a time: its fill function does not change it');
  }

  #changeLength(from: number, to: number): void {
    if (this.#store.header.changeLength(from, to)) return;
    throw new InvalidVectorError(
      `the length was changed from ${from} by somebody else meanwhile: a vector has one writer at a time`,
    );
  }

  /** Makes the memory large enough for so many records. */
  async #grow(needed: number): Promise<void> {
    const { recordBytes } = this.record;
    if (needed > MAX_RECORDS) throw new CapacityError(needed, this.capacity, `a vector has at most ${MAX_RECORDS}`);
    if (recordsIn(this.#memory.sizeBytes, recordBytes) < needed) {
      if (this.#memory.grow === undefined) throw new CapacityError(needed, this.capacity, this.#advice());
      await this.#memory.grow(offsetOf(needed, recordBytes));
    }
    this.#store.enlarge();
    const capacity = this.#store.capacity();
    if (capacity < needed) throw new CapacityError(needed, capacity, 'the memory did not grow as it was asked to');
  }

  /**
   * Populates the next step of what was given back, from record `from`.
   * @returns how many records can be written now: more than `from`.
   */
  #populate(from: number): number {
    const { recordBytes } = this.record;
    const { pageBytes, sizeBytes } = this.#memory;
    const capacity = this.#store.capacity();
    const first = roundDown(offsetOf(from, recordBytes), pageBytes);
    // What is behind the last whole page was never given back.
    const last = roundDown(sizeBytes, pageBytes);
    const wanted = roundUp(Math.max(first + POPULATE_STEP_BYTES, offsetOf(from + 1, recordBytes)), pageBytes);
    const to = Math.min(wanted, last);
    if (to > first) this.#memory.populate(first, to - first);
    const populated = to < last ? Math.min(capacity, recordsIn(to, recordBytes)) : capacity;
    this.#store.header.populated = populated;
    return populated;
  }

  #advice(): string {
    return this.#memory.grow === undefined
      ? 'its memory has a fixed size; make it larger to begin with, or pop records'
      : 'await reserve(n) before, or use pushGrowing()';
  }
}

const roundDown = (bytes: number, unit: number): number => bytes - (bytes % unit);
const roundUp = (bytes: number, unit: number): number => Math.ceil(bytes / unit) * unit;
