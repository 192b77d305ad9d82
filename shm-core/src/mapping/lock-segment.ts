/**
 * The lock segment of a mapping as one process sees it: who holds the mapping, who takes part, and how far a channel is.
 * Every word that another process writes is touched through Atomics only. Whether this process may write is the MMU's business.
 */
import { ABI_VERSION, LOCK_SEGMENT, MAGIC, MAX_PARTICIPANTS, MappingState } from '../layout/regions.ts';
import type { MappedRange } from '../os/os.ts';
import { CorruptMemoryError } from './corrupt-memory.ts';

const AT = LOCK_SEGMENT.at;
const WORD = LOCK_SEGMENT.word;
const HOLDER = AT.holder / 8;
const TOKEN = AT.fencingToken / 8;
const LIVE_WORDS = MAX_PARTICIPANTS / 32;

/** Word offsets for code that reads the segment in its inner loop. */
export const LOCK_WORD = WORD;

export class LockSegment {
  /** The whole segment as 32-bit words. */
  readonly words: Int32Array;
  readonly #wide: BigUint64Array;
  readonly #bytes: Uint8Array;

  constructor(range: MappedRange) {
    const words = range.words32(0, LOCK_SEGMENT.bytes / 4);
    this.words = new Int32Array(words.buffer, words.byteOffset, words.length);
    this.#wide = new BigUint64Array(words.buffer, words.byteOffset, words.length / 2);
    this.#bytes = new Uint8Array(words.buffer, words.byteOffset, LOCK_SEGMENT.bytes);
  }

  /** Broker, once, on zeroed memory. */
  initialise(mappingId: bigint, maxParticipants: number): void {
    this.words[WORD.abiVersion] = ABI_VERSION;
    this.#wide[AT.mappingId / 8] = mappingId;
    this.words[WORD.maxParticipants] = maxParticipants;
    Atomics.store(this.words, WORD.magic, MAGIC.lock);
  }

  /** @throws CorruptMemoryError when this is not the lock segment of `mappingId`, or one of another version. */
  validate(mappingId: bigint): void {
    const magic = Atomics.load(this.words, WORD.magic);
    const version = Atomics.load(this.words, WORD.abiVersion);
    if (magic !== MAGIC.lock) throw new CorruptMemoryError(`lock segment: magic is 0x${(magic >>> 0).toString(16)}`);
    if (version !== ABI_VERSION) {
      throw new CorruptMemoryError(`lock segment: ABI version ${version}, this build understands ${ABI_VERSION}`);
    }
    const found = this.#wide[AT.mappingId / 8];
    if (found !== mappingId) throw new CorruptMemoryError(`lock segment: mapping ${found}, expected ${mappingId}`);
  }

  get deleted(): boolean {
    return Atomics.load(this.words, WORD.state) === MappingState.deleted;
  }
  markDeleted(): void {
    Atomics.store(this.words, WORD.state, MappingState.deleted);
  }

  /** W: the id of the hold under which frames may be published; 0 = nobody's. */
  get holder(): bigint {
    return Atomics.load(this.#wide, HOLDER);
  }
  set holder(holdId: bigint) {
    Atomics.store(this.#wide, HOLDER, holdId);
  }
  get fencingToken(): bigint {
    return Atomics.load(this.#wide, TOKEN);
  }
  set fencingToken(token: bigint) {
    Atomics.store(this.#wide, TOKEN, token);
  }

  isLive(index: number): boolean {
    return this.#bit(WORD.live, index);
  }
  isCounted(index: number): boolean {
    return this.#bit(WORD.counted, index);
  }
  /** Indices whose live bit is set, read once. */
  liveIndices(): number[] {
    const indices: number[] = [];
    for (let w = 0; w < LIVE_WORDS; w += 1) {
      let bits = Atomics.load(this.words, WORD.live + w);
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
   * IMPORTANT: `membership` rises last. A publisher that marked a slot and then finds `membership` unchanged has marked it
   * before the participant could pin anything; were it raised first, the publisher could read the bits in between and miss one.
   */
  setLive(
    index: number,
    { generation, maxPins, counted }: { generation: number; maxPins: number; counted: boolean },
  ): void {
    Atomics.store(this.words, WORD.generation + index, generation);
    Atomics.store(this.words, WORD.maxPins + index, maxPins);
    if (counted) Atomics.or(this.words, WORD.counted + (index >> 5), 1 << (index & 31));
    Atomics.or(this.words, WORD.live + (index >> 5), 1 << (index & 31));
    Atomics.add(this.words, WORD.membership, 1);
  }
  /** Broker: a publisher no longer waits for this participant’s cursor. Its pins still count. */
  clearCounted(index: number): void {
    Atomics.and(this.words, WORD.counted + (index >> 5), ~(1 << (index & 31)));
  }
  /** Broker: the participant can no longer read or write; what it held is free. */
  clearLive(index: number, generation: number): void {
    this.clearCounted(index);
    Atomics.and(this.words, WORD.live + (index >> 5), ~(1 << (index & 31)));
    Atomics.store(this.words, WORD.goneBefore + index, generation + 1);
    Atomics.add(this.words, WORD.membership, 1);
  }
  generationOf(index: number): number {
    return Atomics.load(this.words, WORD.generation + index);
  }
  /** Slots that the participant may pin at once. */
  maxPinsOf(index: number): number {
    return Atomics.load(this.words, WORD.maxPins + index);
  }
  /** Whether participant (index, generation) can no longer write. */
  isGone(index: number, generation: number): boolean {
    return generation < Atomics.load(this.words, WORD.goneBefore + index);
  }

  /** Whether the newest sequence is the end of a stream: whoever published finished it, and nobody went on. */
  get finished(): boolean {
    if (Atomics.load(this.words, WORD.endMarks) === 0) return false;
    return Atomics.load(this.words, WORD.endedAt) === Atomics.load(this.words, WORD.head);
  }

  /** Broker: whom subscribers ring; null = nobody. */
  setPublisherBell(bell: Uint8Array | null): void {
    Atomics.add(this.words, WORD.publisherBellVersion, 1);
    if (bell === null) this.#bytes.fill(0, AT.publisherBell, AT.publisherBell + 16);
    else this.#bytes.set(bell, AT.publisherBell);
    Atomics.add(this.words, WORD.publisherBellVersion, 1);
  }
  /** A copy of the publisher’s bell, or null when there is none or it is just changing (a lost ring costs time, never progress). */
  publisherBell(): Uint8Array | null {
    const before = Atomics.load(this.words, WORD.publisherBellVersion);
    const bell = this.#bytes.slice(AT.publisherBell, AT.publisherBell + 16);
    const after = Atomics.load(this.words, WORD.publisherBellVersion);
    if (before !== after || (before & 1) === 1 || bell.every((byte) => byte === 0)) return null;
    return bell;
  }

  #bit(base: number, index: number): boolean {
    return (Atomics.load(this.words, base + (index >> 5)) & (1 << (index & 31))) !== 0;
  }
}
