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
  /** Generation of the latest owner by index; 0 = never owned. */
  readonly #generations: number[];
  readonly #free: Set<number>;

  constructor(capacity: number, generationLimit = GENERATION_LIMIT) {
    this.capacity = capacity;
    this.#generationLimit = generationLimit;
    this.#generations = new Array<number>(capacity).fill(0);
    this.#free = new Set(this.#generations.keys());
  }

  /** Null when every index is taken or used up. */
  allocate(): Place | null {
    const [index] = this.#free;
    if (index === undefined) return null;
    this.#free.delete(index);
    const generation = (this.#generations[index] ?? 0) + 1;
    this.#generations[index] = generation;
    return { index, generation };
  }

  /** The owner can no longer touch the mapping. A second call for the same owner changes nothing. */
  free({ index, generation }: Place): void {
    if (this.#generations[index] !== generation) return;
    if (generation + 1 < this.#generationLimit) this.#free.add(index);
  }
}
