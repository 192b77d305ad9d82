/**
 * The memory of one vector, as this process sees it now: header, views, and how many records they cover. Invariants: views end
 * where the memory ends; every length is loaded once, compared with what the views cover, and that copy is used, because
 * the process that wrote it may be wrong or hostile.
 */
import { constants } from 'node:buffer';
import { InvalidVectorError } from './errors.ts';
import { MAX_RECORDS, type RecordShape, VECTOR_HEADER, VectorHeader } from './header.ts';
import { type Position, type TypedViews, typedViews } from './position.ts';
import type { ReadableVectorMemory } from './vector-memory.ts';

const FIRST_RECORD = VECTOR_HEADER.bytes;

/** Where a record begins, B from the start of the memory. */
export const offsetOf = (index: number, recordBytes: number): number => FIRST_RECORD + index * recordBytes;

/** How many records fit into memory of that size. They lie in one view, so its limit is theirs. */
export function recordsIn(sizeBytes: number, recordBytes: number): number {
  const forRecords = Math.min(sizeBytes - FIRST_RECORD, constants.MAX_LENGTH);
  return Math.max(0, Math.min(MAX_RECORDS, Math.floor(forRecords / recordBytes)));
}

export class RecordStore {
  readonly #memory: ReadableVectorMemory;
  readonly #shape: RecordShape;
  #header: VectorHeader;
  #views: TypedViews;
  #capacity: number;

  private constructor(memory: ReadableVectorMemory, shape: RecordShape, header: VectorHeader, capacity: number) {
    this.#memory = memory;
    this.#shape = shape;
    this.#header = header;
    this.#capacity = capacity;
    this.#views = this.#take();
  }

  /** An empty vector over all of the memory, whatever was there. */
  static create(memory: ReadableVectorMemory, shape: RecordShape): RecordStore {
    const header = new VectorHeader(memory);
    const capacity = recordsIn(memory.sizeBytes, shape.recordBytes);
    if (capacity < 1) {
      throw new RangeError(`memory of ${memory.sizeBytes} B has no room for one record of ${shape.recordBytes} B`);
    }
    const store = new RecordStore(memory, shape, header, capacity);
    header.initialise(shape, capacity);
    return store;
  }

  /** @throws InvalidVectorError unless the memory holds a vector of these records. */
  static open(memory: ReadableVectorMemory, shape: RecordShape): RecordStore {
    const header = new VectorHeader(memory);
    header.check(shape);
    const store = new RecordStore(memory, shape, header, checkedCapacity(header, memory, shape.recordBytes));
    store.length();
    return store;
  }

  get header(): VectorHeader {
    return this.#header;
  }
  get views(): TypedViews {
    return this.#views;
  }

  /** Records that there is room for. */
  capacity(): number {
    this.#revive();
    if (this.#header.capacity !== this.#capacity) this.#follow();
    return this.#capacity;
  }

  /** @throws InvalidVectorError when the memory claims more records than it has room for. */
  length(): number {
    this.#revive();
    const length = this.#header.length;
    if (length <= this.#capacity) return length;
    this.#follow();
    if (length <= this.#capacity) return length;
    throw new InvalidVectorError(
      `the vector claims ${length} records and has room for ${this.#capacity}: something else has written here`,
    );
  }

  /** Puts a cursor on a record; the caller has compared the index with a length. */
  place(position: Position, index: number): void {
    position.views = this.#views;
    position.index = index;
  }

  /** The writer's: takes the memory as large as it is now. */
  enlarge(): void {
    const before = this.capacity();
    const capacity = recordsIn(this.#memory.sizeBytes, this.#shape.recordBytes);
    if (capacity <= before) return;
    this.#capacity = capacity;
    this.#views = this.#take();
    const allPopulated = this.#header.populated >= before;
    // IMPORTANT: capacity before any length that needs it: a reader that sees the length first would call the vector corrupt.
    this.#header.capacity = capacity;
    if (allPopulated) this.#header.populated = capacity;
  }

  /** The memory of a lease or attachment that has ended tells so itself when it is asked for views again. */
  #revive(): void {
    if (!this.#header.detached) return;
    this.#header = new VectorHeader(this.#memory);
    this.#header.check(this.#shape);
    this.#capacity = checkedCapacity(this.#header, this.#memory, this.#shape.recordBytes);
    this.#views = this.#take();
  }

  /** The writer has made the vector larger. */
  #follow(): void {
    const capacity = checkedCapacity(this.#header, this.#memory, this.#shape.recordBytes);
    if (capacity === this.#capacity) return;
    this.#capacity = capacity;
    this.#views = this.#take();
  }

  #take(): TypedViews {
    return typedViews(this.#memory.bytes(FIRST_RECORD, this.#capacity * this.#shape.recordBytes));
  }
}

function checkedCapacity(header: VectorHeader, memory: ReadableVectorMemory, recordBytes: number): number {
  const capacity = header.capacity;
  const room = recordsIn(memory.sizeBytes, recordBytes);
  if (capacity >= 1 && capacity <= room) return capacity;
  throw new InvalidVectorError(
    `the vector claims room for ${capacity} records; ${memory.sizeBytes} B have room for 1 to ${room}. ` +
      'Either something else has written here, or the memory was made smaller under the vector',
  );
}
