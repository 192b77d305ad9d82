/**
 * One participant's page as one process sees it: its pins, its cursor, its shared hold, and the words by which it and the publisher
 * wake one another. Pins have one writer, the participant; the generation says whose page this is.
 */
import {
  type ControlWords,
  cas64,
  controlWords,
  load32,
  load64,
  store32,
  store64,
  type WideControlWords,
  wideControlWords,
} from '../layout/control-words.ts';
import { ABI_VERSION, MAGIC, PARTICIPANT_PAGE } from '../layout/regions.ts';
import type { MappedRange } from '../os/os.ts';
import { CorruptMemoryError } from './corrupt-memory.ts';

const AT = PARTICIPANT_PAGE.at;
const WORD = PARTICIPANT_PAGE.word;
const HOLD = AT.sharedHold / 8;
const DEADLINE = AT.deadline / 8;

/** Word offsets for code that reads the page in its inner loop. */
export const PAGE_WORD = WORD;

/** What a participant counts for operators. Not control words: nobody decides by them. */
export interface ParticipantCounters {
  readonly taken: number;
  readonly lost: number;
  readonly dropped: number;
}

const count = (value: number | undefined): number =>
  value !== undefined && Number.isSafeInteger(value) && value >= 0 ? value : 0;

export class ParticipantPage {
  /** The whole page as 32-bit words. */
  readonly words: ControlWords;
  readonly #floats: Float64Array;
  readonly #wide: WideControlWords;
  readonly #bytes: Uint8Array;

  constructor(range: MappedRange) {
    const words = range.words32(0, PARTICIPANT_PAGE.bytes / 4);
    this.words = controlWords(words);
    this.#floats = new Float64Array(words.buffer, words.byteOffset, words.length / 2);
    this.#wide = wideControlWords(words);
    this.#bytes = new Uint8Array(words.buffer, words.byteOffset, PARTICIPANT_PAGE.bytes);
  }

  /** Broker, once, on zeroed memory, before the participant is live. */
  initialise(identity: {
    mappingId: bigint;
    index: number;
    generation: number;
    bell: Uint8Array;
    cursor: number;
  }): void {
    store32(this.words, WORD.abiVersion, ABI_VERSION);
    store64(this.#wide, AT.mappingId / 8, identity.mappingId);
    store32(this.words, WORD.index, identity.index);
    store32(this.words, WORD.generation, identity.generation);
    this.#bytes.set(identity.bell, AT.bell);
    store32(this.words, WORD.cursor, identity.cursor);
    store32(this.words, WORD.magic, MAGIC.page);
  }

  /** @throws CorruptMemoryError when this is not the page of that participant. */
  validate(mappingId: bigint, index: number, generation: number): void {
    const magic = load32(this.words, WORD.magic);
    if (magic !== MAGIC.page)
      throw new CorruptMemoryError(`participant page: magic is 0x${(magic >>> 0).toString(16)}`);
    const version = load32(this.words, WORD.abiVersion);
    if (version !== ABI_VERSION) {
      throw new CorruptMemoryError(`participant page: ABI version ${version}, this build understands ${ABI_VERSION}`);
    }
    const words = [load32(this.words, WORD.index), load32(this.words, WORD.generation)];
    const found = `${load64(this.#wide, AT.mappingId / 8)}/${words.join('/')}`;
    const expected = `${mappingId}/${index}/${generation}`;
    if (found !== expected) throw new CorruptMemoryError(`participant page: of ${found}, expected ${expected}`);
  }

  /** Broker, before the participant has the page. */
  moveCursor(cursor: number): void {
    store32(this.words, WORD.cursor, cursor);
  }

  /** H: 0, or the id of the participant's shared hold. */
  get sharedHold(): bigint {
    return load64(this.#wide, HOLD);
  }
  casSharedHold(expected: bigint, next: bigint): boolean {
    return cas64(this.#wide, HOLD, expected, next);
  }
  /** D: end of the participant's hold, ns of CLOCK_MONOTONIC, or why it was removed. */
  get deadline(): bigint {
    return load64(this.#wide, DEADLINE);
  }
  storeDeadline(deadline: bigint): void {
    store64(this.#wide, DEADLINE, deadline);
  }
  casDeadline(expected: bigint, next: bigint): boolean {
    return cas64(this.#wide, DEADLINE, expected, next);
  }

  /** A copy of the doorbell’s name, raw. */
  bell(): Uint8Array {
    return this.#bytes.slice(AT.bell, AT.bell + 16);
  }

  /** A copy; nonsense that a participant wrote reads as 0. */
  counters(): ParticipantCounters {
    return {
      taken: count(this.#floats[AT.taken / 8]),
      lost: count(this.#floats[AT.lost / 8]),
      dropped: count(this.#floats[AT.dropped / 8]),
    };
  }
  setTaken(taken: number): void {
    this.#floats[AT.taken / 8] = taken;
  }
  setLost(lost: number): void {
    this.#floats[AT.lost / 8] = lost;
  }
  setDropped(dropped: number): void {
    this.#floats[AT.dropped / 8] = dropped;
  }
}
