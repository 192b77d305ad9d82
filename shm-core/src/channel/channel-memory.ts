/** The shared words of a channel as one attached process sees them: ring, descriptors, lock segment. Holds no state of its own. */
import { type ControlWords, cas32, controlWords, load32 } from '../layout/control-words.ts';
import { FRAME_DESCRIPTOR } from '../layout/regions.ts';
import { low32, wholeSequence } from '../layout/sequence.ts';
import { LOCK_WORD, type LockSegment } from '../mapping/lock-segment.ts';
import type { MappedRange } from '../os/os.ts';
import type { ChannelGeometry } from './geometry.ts';

const DESCRIPTOR_WORDS = FRAME_DESCRIPTOR.bytes / 4;

export class ChannelMemory {
  readonly geometry: ChannelGeometry;
  readonly lock: LockSegment;
  readonly ring: ControlWords;
  /** What is decided by in all descriptors, `FRAME_DESCRIPTOR.bytes` apart: state, sequence, fencing token, flags. */
  readonly descriptors: ControlWords;
  /** The rest of the same descriptors: written while a slot is WRITING, read while it is pinned. */
  readonly descriptorData: Int32Array;
  readonly descriptorBytes: Uint8Array;

  constructor(data: MappedRange, lock: LockSegment, geometry: ChannelGeometry) {
    this.geometry = geometry;
    this.lock = lock;
    const { buffer, byteOffset } = data.words32(0, geometry.slotsOffset / 4);
    this.ring = controlWords(new Int32Array(buffer, byteOffset + geometry.ringOffset, geometry.ringEntries));
    this.descriptorData = new Int32Array(
      buffer,
      byteOffset + geometry.descriptorsOffset,
      geometry.slots * DESCRIPTOR_WORDS,
    );
    this.descriptors = controlWords(this.descriptorData);
    this.descriptorBytes = new Uint8Array(buffer, this.descriptorData.byteOffset, this.descriptorData.byteLength);
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
    return load32(this.lock.words, LOCK_WORD.head);
  }
  /** Moves the hint from k − 1 to k unless somebody did. */
  advanceHead(sequence: number): void {
    cas32(this.lock.words, LOCK_WORD.head, low32(sequence - 1), low32(sequence));
  }
  /** The whole newest sequence. */
  wholeHead(): number {
    const era = load32(this.lock.words, LOCK_WORD.headEra) >>> 0;
    return wholeSequence(load32(this.lock.words, LOCK_WORD.head), era);
  }
  /** Raises the era; never lowers it, whoever is late. */
  raiseEra(era: number): void {
    const words = this.lock.words;
    for (let tries = 0; tries < 8; tries += 1) {
      const seen = load32(words, LOCK_WORD.headEra);
      if (seen >>> 0 >= era || cas32(words, LOCK_WORD.headEra, seen, era | 0)) return;
    }
  }
}
