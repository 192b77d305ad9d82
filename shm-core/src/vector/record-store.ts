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
  /** Records that the views cover. It follows the size of the memory alone, so that no header can make us take view after view. */
  #room: number;

  private constructor(memory: ReadableVectorMemory, shape: RecordShape, header: VectorHeader) {
    this.#memory = memory;
    this.#shape = shape;
    this.#header = header;
    this.#room = recordsIn(memory.sizeBytes, shape.recordBytes);
    if (this.#room < 1) {
      throw new InvalidVectorError(
        `memory of ${memory.sizeBytes} B holds no vector: it has no room for one record of ${shape.recordBytes} B`,
      );
    }
    this.#views = this.#take();
  }

  /** An empty vector over all of the memory, whatever was there. */
  static create(memory: ReadableVectorMemory, shape: RecordShape): RecordStore {
    const store = new RecordStore(memory, shape, new VectorHeader(memory));
    store.#header.initialise(shape, store.#room);
    return store;
  }

  /** @throws InvalidVectorError unless the memory holds a vector of these records. */
  static open(memory: ReadableVectorMemory, shape: RecordShape): RecordStore {
    const header = new VectorHeader(memory);
    header.check(shape);
    const store = new RecordStore(memory, shape, header);
    store.capacity();
    store.length();
    return store;
  }

  get header(): VectorHeader {
    return this.#header;
  }
  get views(): TypedViews {
    return this.#views;
  }

  /** Records that there is room for. @throws InvalidVectorError when that is more than the memory has, or has any more. */
  capacity(): number {
    this.#revive();
    const records = this.#within(this.#header.capacity, 'room for');
    // The views stay as long as they were when the memory is made smaller; what was given back must not be written.
    const { sizeBytes } = this.#memory;
    if (offsetOf(records, this.#shape.recordBytes) <= sizeBytes) return records;
    throw excessive('room for', records, recordsIn(sizeBytes, this.#shape.recordBytes));
  }

  /** @throws InvalidVectorError when there is no room for so many records. */
  length(): number {
    this.#revive();
    return this.#within(this.#header.length, 'to hold');
  }

  /** Puts a cursor on a record; the caller has compared the index with a length. */
  place(position: Position, index: number): void {
    position.views = this.#views;
    position.index = index;
  }

  /** The writer's: takes the memory as large as it is now. */
  enlarge(): void {
    const before = this.capacity();
    this.#widen();
    if (this.#room <= before) return;
    const allPopulated = this.#header.populated >= before;
    this.#header.capacity = this.#room;
    if (allPopulated) this.#header.populated = this.#room;
  }

  /** What the header says, if it can be. The memory may have grown since it was looked at. */
  #within(records: number, claim: string): number {
    if (records <= this.#room) return records;
    this.#widen();
    if (records <= this.#room) return records;
    throw excessive(claim, records, this.#room);
  }

  #widen(): void {
    const room = recordsIn(this.#memory.sizeBytes, this.#shape.recordBytes);
    if (room <= this.#room) return;
    this.#room = room;
    this.#views = this.#take();
  }

  /** The memory of a lease or attachment that has ended tells so itself when it is asked for views again. */
  #revive(): void {
    if (!this.#header.detached) return;
    const again = RecordStore.open(this.#memory, this.#shape);
    this.#header = again.#header;
    this.#views = again.#views;
    this.#room = again.#room;
  }

  #take(): TypedViews {
    return typedViews(this.#memory.bytes(FIRST_RECORD, this.#room * this.#shape.recordBytes));
  }
}

const excessive = (claim: string, records: number, room: number): InvalidVectorError =>
  new InvalidVectorError(
    `the vector claims ${claim} ${records} records; its memory has room for ${room}. Either something else has ` +
      'written here, or the memory was made smaller under the vector',
  );
