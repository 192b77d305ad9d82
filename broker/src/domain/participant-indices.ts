/**
 * The participant indices of one mapping. Invariants: an index has one owner at a time; its generation rises with every owner
 * and never repeats, and an index whose generations are used up is never given out again.
 */
import { GENERATION_LIMIT } from '@leasehold/shm-core/internal';

export interface Place {
  readonly index: number;
  /** From 1. */
  readonly generation: number;
}

export class ParticipantIndices {
  readonly capacity: number;
  readonly #generationLimit: number;
  /** Generation of the latest owner by index; those after them were never owned. Most mappings have few owners, and there are many mappings. */
  readonly #generations: number[] = [];
  /** Those that were owned, in the order in which they came back. */
  readonly #free: number[] = [];

  constructor(capacity: number, generationLimit = GENERATION_LIMIT) {
    this.capacity = capacity;
    this.#generationLimit = generationLimit;
  }

  /** Null when every index is taken or used up. */
  allocate(): Place | null {
    // Those that were never owned first: an index rests as long as it can.
    const fresh = this.#generations.length;
    const index = fresh < this.capacity ? fresh : this.#free.shift();
    if (index === undefined) return null;
    const generation = (this.#generations[index] ?? 0) + 1;
    this.#generations[index] = generation;
    return { index, generation };
  }

  /** The owner can no longer touch the mapping. A second call for the same owner changes nothing. */
  free({ index, generation }: Place): void {
    if (this.#generations[index] !== generation || this.#free.includes(index)) return;
    if (generation + 1 < this.#generationLimit) this.#free.push(index);
  }
}
