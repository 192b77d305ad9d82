/**
 * The first bytes of a vector, which tell a reader that there is one, of what, and how much of it there is. One writer changes them.
 * Invariants: the magic is stored last; what others decide by are single 32-bit words, so that none of them can be torn.
 */
import { type ControlWords, cas32, controlWords, load32, store32 } from '../layout/control-words.ts';
import { defineLayout, reserved, u32, u32s } from '../layout/define-layout.ts';
import { InvalidVectorError } from './errors.ts';
import type { ReadableVectorMemory } from './vector-memory.ts';

/** "LSHV". */
export const VECTOR_MAGIC = 0x4c534856;
/** Vectors of another version are refused. */
export const VECTOR_VERSION = 1;

/** The records begin right behind it. What changes often lies on a cache line of its own. */
export const VECTOR_HEADER = defineLayout(128, {
  magic: u32('writer; stored last; 0 = not ready'),
  version: u32('writer; once'),
  recordBytes: u32('writer; once; from one record to the next, B'),
  reserved0: reserved(4),
  layoutHash: u32s(2, 'writer; once; the first 8 bytes of the SHA-256 of the record’s description'),
  reserved1: reserved(40),
  length: u32('writer; atomic; records; stored after the bytes of the records that it covers'),
  capacity: u32('writer; atomic; records that there is room for; stored before a length that needs it'),
  populated: u32('writer; atomic; the records below it can be written without a page fault that may fail'),
  reserved2: reserved(52),
});

/** Limit of `length`: it is one word. */
export const MAX_RECORDS = 2 ** 32 - 1;

const AT = VECTOR_HEADER.word;

/** What a vector consists of. */
export interface RecordShape {
  readonly recordBytes: number;
  readonly layoutHash: readonly [number, number];
}

export class VectorHeader {
  readonly #words: ControlWords;

  /** @throws InvalidVectorError when the memory is too small to hold one. */
  constructor(memory: ReadableVectorMemory) {
    if (!(memory.sizeBytes >= VECTOR_HEADER.bytes)) {
      throw new InvalidVectorError(
        `memory of ${memory.sizeBytes} B holds no vector: its header alone has ${VECTOR_HEADER.bytes} B`,
      );
    }
    this.#words = controlWords(memory.words32(0, VECTOR_HEADER.bytes / 4));
  }

  /** The memory was closed, or its lease is over: these words lead nowhere. */
  get detached(): boolean {
    return this.#words.length === 0;
  }

  get length(): number {
    return load32(this.#words, AT.length) >>> 0;
  }
  get capacity(): number {
    return load32(this.#words, AT.capacity) >>> 0;
  }
  get populated(): number {
    return load32(this.#words, AT.populated) >>> 0;
  }
  set capacity(records: number) {
    store32(this.#words, AT.capacity, records);
  }
  set populated(records: number) {
    store32(this.#words, AT.populated, records);
  }

  /** Stores a length if it is still `from`; tells whether it was, which it always is when there is one writer. */
  changeLength(from: number, to: number): boolean {
    return cas32(this.#words, AT.length, from | 0, to | 0);
  }
  shorten(length: number): void {
    store32(this.#words, AT.length, length);
  }

  /** Makes an empty vector of whatever was there. All of its memory is populated. */
  initialise(shape: RecordShape, capacity: number): void {
    // IMPORTANT: no magic while the rest changes, or a reader that opens it now believes half of an old header.
    store32(this.#words, AT.magic, 0);
    store32(this.#words, AT.length, 0);
    store32(this.#words, AT.version, VECTOR_VERSION);
    store32(this.#words, AT.recordBytes, shape.recordBytes);
    store32(this.#words, AT.layoutHash, shape.layoutHash[0]);
    store32(this.#words, AT.layoutHash + 1, shape.layoutHash[1]);
    this.capacity = capacity;
    this.populated = capacity;
    store32(this.#words, AT.magic, VECTOR_MAGIC);
  }

  /** @throws InvalidVectorError unless this is the header of a vector of such records. */
  check(shape: RecordShape): void {
    const load = (word: number) => load32(this.#words, word) >>> 0;
    const magic = load(AT.magic);
    if (magic !== VECTOR_MAGIC) {
      const found = magic === 0 ? 'nothing yet' : `0x${magic.toString(16)}`;
      throw new InvalidVectorError(`no vector here: its first word is ${found}. Its writer must create it first`);
    }
    const version = load(AT.version);
    if (version !== VECTOR_VERSION) {
      throw new InvalidVectorError(`a vector of version ${version}; this program knows version ${VECTOR_VERSION}`);
    }
    const recordBytes = load(AT.recordBytes);
    const sameLayout = load(AT.layoutHash) === shape.layoutHash[0] && load(AT.layoutHash + 1) === shape.layoutHash[1];
    if (recordBytes === shape.recordBytes && sameLayout) return;
    throw new InvalidVectorError(
      `a vector of other records (${recordBytes} B each, not necessarily those of ${shape.recordBytes} B described here): ` +
        'writer and reader must describe the same fields, in the same order',
    );
  }
}
