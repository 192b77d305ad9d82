/**
 * The encodings of a channel's control words. All are 32 bits, kept as signed integers (what Int32Array loads give), so that
 * no number needs the heap. Sequences are plain numbers below 2^53 in this process and modulo a power of two in a word.
 *
 *   state   00 0…              free
 *           01 k mod 2^30      frame k is in the slot, or is being published
 *           10 index generation  WRITING: being filled by that participant
 *   ring    lap mod 2^22 | slot (10 bits), lap = k div R
 */
import { low32 } from '../layout/sequence.ts';

export const FREE = 0;
const PUBLISHED_TAG = 0x4000_0000;
const WRITING_TAG = 0x8000_0000 | 0;
const TAG_MASK = 0xc000_0000 | 0;
const SEQUENCE_MASK = 0x3fff_ffff;
const GENERATION_BITS = 23;
const GENERATION_MASK = (1 << GENERATION_BITS) - 1;
const SLOT_BITS = 10;
const SLOT_MASK = (1 << SLOT_BITS) - 1;
const LAP_MASK = (1 << (32 - SLOT_BITS)) - 1;

/** Generations of a participant index stay below this; an index that reaches it is retired. */
export const GENERATION_LIMIT = GENERATION_MASK;
/** In a ring entry: no frame was ever there. */
export const NO_SLOT = SLOT_MASK;
export const publishedWord = (sequence: number): number => PUBLISHED_TAG | (low32(sequence) & SEQUENCE_MASK);
export const writingWord = (index: number, generation: number): number =>
  WRITING_TAG | (index << GENERATION_BITS) | (generation & GENERATION_MASK);

export const isWriting = (state: number): boolean => (state & TAG_MASK) === WRITING_TAG;
export const isPublished = (state: number): boolean => (state & TAG_MASK) === PUBLISHED_TAG;
export const writerIndex = (state: number): number => (state >>> GENERATION_BITS) & 0x7f;
export const writerGeneration = (state: number): number => state & GENERATION_MASK;

/** How far the frame in a published slot is ahead of `sequence`: negative when older. Exact within 2^29 frames. */
export const aheadOf = (state: number, sequence: number): number =>
  (((state & SEQUENCE_MASK) - low32(sequence)) << 2) >> 2;

/** The lap of sequence `k` on a ring of `ringEntries`, as a ring entry holds it. */
export const lapOf = (sequence: number, ringEntries: number): number => (sequence / ringEntries) & LAP_MASK;
export const ringWord = (lap: number, slot: number): number => ((lap & LAP_MASK) << SLOT_BITS) | slot;
export const ringLap = (entry: number): number => entry >>> SLOT_BITS;
export const ringSlot = (entry: number): number => entry & SLOT_MASK;
export const previousLap = (lap: number): number => (lap - 1) & LAP_MASK;
export const nextLap = (lap: number): number => (lap + 1) & LAP_MASK;
