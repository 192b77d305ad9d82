/**
 * The lock segment of a mapping as one process sees it: who holds the mapping, who takes part, and how far a channel is.
 * Whether this process may write is the MMU's business.
 */
import {
  add32,
  add64,
  and32,
  type ControlWords,
  cas64,
  controlWords,
  load32,
  load64,
  or32,
  peek32,
  store32,
  store64,
  type WideControlWords,
  wideControlWords,
} from '../layout/control-words.ts';
import { ABI_VERSION, LOCK_SEGMENT, MAGIC, MAX_PARTICIPANTS, MappingState } from '../layout/regions.ts';
import type { MappedRange } from '../os/os.ts';
import { CorruptMemoryError } from './corrupt-memory.ts';

const AT = LOCK_SEGMENT.at;
const WORD = LOCK_SEGMENT.word;
const HOLDER = AT.holder / 8;
const TOKEN = AT.fencingToken / 8;
const DIRTY = AT.dirty / 8;
const LIVE_WORDS = MAX_PARTICIPANTS / 32;
const BELL_BYTES = 16;

/** Word offsets for code that reads the segment in its inner loop. */
export const LOCK_WORD = WORD;

export class LockSegment {
  /** The whole segment as 32-bit words. */
  readonly words: ControlWords;
  readonly #wide: WideControlWords;
  readonly #bytes: Uint8Array;

  constructor(range: MappedRange) {
    const words = range.words32(0, LOCK_SEGMENT.bytes / 4);
    this.words = controlWords(words);
    this.#wide = wideControlWords(words);
    this.#bytes = new Uint8Array(words.buffer, words.byteOffset, LOCK_SEGMENT.bytes);
  }

  /** Broker, once, on zeroed memory. `brokerBell`: 16 raw bytes. */
  initialise(identity: {
    mappingId: bigint;
    maxParticipants: number;
    brokerBell: Uint8Array;
    committedBytes: number;
  }): void {
    store32(this.words, WORD.abiVersion, ABI_VERSION);
    store64(this.#wide, AT.committedBytes / 8, BigInt(identity.committedBytes));
    store64(this.#wide, AT.mappingId / 8, identity.mappingId);
    store32(this.words, WORD.maxParticipants, identity.maxParticipants);
    this.#bytes.set(identity.brokerBell, AT.brokerBell);
    store32(this.words, WORD.magic, MAGIC.lock);
  }

  /** @throws CorruptMemoryError when this is not the lock segment of `mappingId`, or one of another version. */
  validate(mappingId: bigint): void {
    const magic = load32(this.words, WORD.magic);
    const version = load32(this.words, WORD.abiVersion);
    if (magic !== MAGIC.lock) throw new CorruptMemoryError(`lock segment: magic is 0x${(magic >>> 0).toString(16)}`);
    if (version !== ABI_VERSION) {
      throw new CorruptMemoryError(`lock segment: ABI version ${version}, this build understands ${ABI_VERSION}`);
    }
    const found = load64(this.#wide, AT.mappingId / 8);
    if (found !== mappingId) throw new CorruptMemoryError(`lock segment: mapping ${found}, expected ${mappingId}`);
  }

  /** Payload that is there, B, as it stands in memory: whoever writes the mapping may have put anything there. */
  get committedBytes(): bigint {
    return load64(this.#wide, AT.committedBytes / 8);
  }
  /** Changes whenever `committedBytes` has. */
  get resizes(): number {
    return load32(this.words, WORD.resizes);
  }
  /** Broker. IMPORTANT: `resizes` rises last. Who sees it unchanged may go on with the size it read after it. */
  commit(bytes: number): void {
    store64(this.#wide, AT.committedBytes / 8, BigInt(bytes));
    add32(this.words, WORD.resizes, 1);
  }

  get deleted(): boolean {
    return load32(this.words, WORD.state) === MappingState.deleted;
  }
  /** A plain look, for who looks again and again. */
  get seemsDeleted(): boolean {
    return peek32(this.words, WORD.state) === MappingState.deleted;
  }
  markDeleted(): void {
    store32(this.words, WORD.state, MappingState.deleted);
  }

  /** W: 0, the id of the exclusive hold, or one of the broker's own values. */
  get holder(): bigint {
    return load64(this.#wide, HOLDER);
  }
  casHolder(expected: bigint, next: bigint): boolean {
    return cas64(this.#wide, HOLDER, expected, next);
  }
  /** Broker: while W is one of its own values, nobody else writes it. */
  storeHolder(value: bigint): void {
    store64(this.#wide, HOLDER, value);
  }
  /** F. */
  get fencingToken(): bigint {
    return load64(this.#wide, TOKEN);
  }
  /** Takes the next token: F + 1. */
  takeToken(): bigint {
    return add64(this.#wide, TOKEN, 1n) + 1n;
  }
  casFencingToken(expected: bigint, next: bigint): boolean {
    return cas64(this.#wide, TOKEN, expected, next);
  }
  /** 0, or the id of the exclusive hold that was removed: the data may be torn. */
  get dirty(): bigint {
    return load64(this.#wide, DIRTY);
  }
  casDirty(expected: bigint, next: bigint): boolean {
    return cas64(this.#wide, DIRTY, expected, next);
  }
  /** Broker. */
  storeDirty(holdId: bigint): void {
    store64(this.#wide, DIRTY, holdId);
  }
  /** C: whether somebody waits at the broker. */
  get queued(): boolean {
    return load32(this.words, WORD.queued) !== 0;
  }
  /** Broker. */
  storeQueued(queued: boolean): void {
    store32(this.words, WORD.queued, queued ? 1 : 0);
  }
  /** A copy of the name of the broker’s doorbell, raw. */
  brokerBell(): Uint8Array {
    return this.#bytes.slice(AT.brokerBell, AT.brokerBell + BELL_BYTES);
  }

  isLive(index: number): boolean {
    return this.#bit(WORD.live, index);
  }
  isCounted(index: number): boolean {
    return this.#bit(WORD.counted, index);
  }
  /** Rises with every change of who takes part. */
  get membership(): number {
    return load32(this.words, WORD.membership);
  }
  /** The same by a plain look. */
  get seenMembership(): number {
    return peek32(this.words, WORD.membership);
  }
  /** Indices whose live bit is set, read once. */
  liveIndices(): number[] {
    const indices: number[] = [];
    for (let w = 0; w < LIVE_WORDS; w += 1) {
      let bits = load32(this.words, WORD.live + w);
      while (bits !== 0) {
        const bit = 31 - Math.clz32(bits & -bits);
        indices.push(w * 32 + bit);
        bits &= bits - 1;
      }
    }
    return indices;
  }
  /**
   * Broker: lets a participant count, before it is told that it takes part.
   * IMPORTANT: `membership` rises last. Who marked a slot, or took the lock, and then finds `membership` unchanged has done so
   * before the participant could pin or hold anything; were it raised first, the bits could be read in between and miss one.
   */
  setLive(
    index: number,
    { generation, maxPins, counted }: { generation: number; maxPins: number; counted: boolean },
  ): void {
    store32(this.words, WORD.generation + index, generation);
    store32(this.words, WORD.maxPins + index, maxPins);
    if (counted) or32(this.words, WORD.counted + (index >> 5), 1 << (index & 31));
    or32(this.words, WORD.live + (index >> 5), 1 << (index & 31));
    add32(this.words, WORD.membership, 1);
  }
  /** Broker: a publisher no longer waits for this participant’s cursor. Its pins still count. */
  clearCounted(index: number): void {
    and32(this.words, WORD.counted + (index >> 5), ~(1 << (index & 31)));
  }
  /** Broker: the participant can no longer read or write; what it held is free. */
  clearLive(index: number, generation: number): void {
    this.clearCounted(index);
    and32(this.words, WORD.live + (index >> 5), ~(1 << (index & 31)));
    store32(this.words, WORD.goneBefore + index, generation + 1);
    add32(this.words, WORD.membership, 1);
  }
  generationOf(index: number): number {
    return load32(this.words, WORD.generation + index);
  }
  /** Slots that the participant may pin at once. */
  maxPinsOf(index: number): number {
    return load32(this.words, WORD.maxPins + index);
  }
  /** Whether participant (index, generation) can no longer write. */
  isGone(index: number, generation: number): boolean {
    return generation < load32(this.words, WORD.goneBefore + index);
  }

  /** Whether the newest sequence is the end of a stream: whoever published finished it, and nobody went on. */
  get finished(): boolean {
    if (load32(this.words, WORD.endMarks) === 0) return false;
    return load32(this.words, WORD.endedAt) === load32(this.words, WORD.head);
  }

  /** Broker: whom subscribers ring; null = nobody. */
  setPublisherBell(bell: Uint8Array | null): void {
    add32(this.words, WORD.publisherBellVersion, 1);
    if (bell === null) this.#bytes.fill(0, AT.publisherBell, AT.publisherBell + BELL_BYTES);
    else this.#bytes.set(bell, AT.publisherBell);
    add32(this.words, WORD.publisherBellVersion, 1);
  }
  /** A copy of the publisher’s bell, or null when there is none or it is just changing (a lost ring costs time, never progress). */
  publisherBell(): Uint8Array | null {
    const before = load32(this.words, WORD.publisherBellVersion);
    const bell = this.#bytes.slice(AT.publisherBell, AT.publisherBell + BELL_BYTES);
    const after = load32(this.words, WORD.publisherBellVersion);
    if (before !== after || (before & 1) === 1 || bell.every((byte) => byte === 0)) return null;
    return bell;
  }

  #bit(base: number, index: number): boolean {
    return (load32(this.words, base + (index >> 5)) & (1 << (index & 31))) !== 0;
  }
}
