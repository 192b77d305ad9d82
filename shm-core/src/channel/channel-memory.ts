/** The shared words of a channel as one attached process sees them: ring, descriptors, lock segment. Holds no state of its own. */
import { FRAME_DESCRIPTOR } from '../layout/regions.ts';
import { low32, wholeSequence } from '../layout/sequence.ts';
import { LOCK_WORD, type LockSegment } from '../mapping/lock-segment.ts';
import type { MappedRange } from '../os/os.ts';
import type { ChannelGeometry } from './geometry.ts';

const DESCRIPTOR_WORDS = FRAME_DESCRIPTOR.bytes / 4;

export class ChannelMemory {
  readonly geometry: ChannelGeometry;
  readonly lock: LockSegment;
  readonly ring: Int32Array;
  /** All descriptors, `FRAME_DESCRIPTOR.bytes` apart. */
  readonly descriptors: Int32Array;
  readonly descriptorBytes: Uint8Array;

  constructor(data: MappedRange, lock: LockSegment, geometry: ChannelGeometry) {
    this.geometry = geometry;
    this.lock = lock;
    const { buffer, byteOffset } = data.words32(0, geometry.slotsOffset / 4);
    this.ring = new Int32Array(buffer, byteOffset + geometry.ringOffset, geometry.ringEntries);
    this.descriptors = new Int32Array(
      buffer,
      byteOffset + geometry.descriptorsOffset,
      geometry.slots * DESCRIPTOR_WORDS,
    );
    this.descriptorBytes = new Uint8Array(buffer, this.descriptors.byteOffset, this.descriptors.byteLength);
  }

  /** Word offset of a slot's state in `descriptors`. */
  stateAt(slot: number): number {
    return slot * DESCRIPTOR_WORDS + FRAME_DESCRIPTOR.word.state;
  }
  /** Where sequence `k` is in the ring. */
  ringIndex(sequence: number): number {
    return low32(sequence) & (this.geometry.ringEntries - 1);
  }

  /** The low half of the newest sequence. */
  loadHead(): number {
    return Atomics.load(this.lock.words, LOCK_WORD.head);
  }
  /** Moves the hint from k − 1 to k unless somebody did. */
  advanceHead(sequence: number): void {
    Atomics.compareExchange(this.lock.words, LOCK_WORD.head, low32(sequence - 1), low32(sequence));
  }
  /** The whole newest sequence. */
  wholeHead(): number {
    const era = Atomics.load(this.lock.words, LOCK_WORD.headEra) >>> 0;
    return wholeSequence(Atomics.load(this.lock.words, LOCK_WORD.head), era);
  }
  /** Raises the era; never lowers it, whoever is late. */
  raiseEra(era: number): void {
    const words = this.lock.words;
    for (let tries = 0; tries < 8; tries += 1) {
      const seen = Atomics.load(words, LOCK_WORD.headEra);
      if (seen >>> 0 >= era || Atomics.compareExchange(words, LOCK_WORD.headEra, seen, era | 0) === seen) return;
    }
  }
}
