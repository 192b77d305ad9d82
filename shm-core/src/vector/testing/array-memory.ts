/**
 * Memory of a vector in one ArrayBuffer, for tests. It knows which pages were given back, so that a test sees whether the vector
 * populated a page before it wrote there, and can be told to be out of memory.
 */
import type { VectorMemory } from '../vector-memory.ts';

export interface ArrayMemoryOptions {
  readonly pageBytes?: number;
  /** The memory grows up to here, B; without it, not at all. */
  readonly reserveBytes?: number;
}

export class ArrayMemory implements VectorMemory {
  readonly pageBytes: number;
  readonly grow?: (atLeastBytes: number) => Promise<void>;
  readonly discarded = new Set<number>();
  /** What was populated, in order. */
  readonly populations: { offset: number; length: number }[] = [];
  /** How many more pages the machine has. */
  freePages = Number.POSITIVE_INFINITY;
  sizeBytes: number;
  readonly #buffer: ArrayBuffer;

  constructor(sizeBytes: number, { pageBytes = 4096, reserveBytes }: ArrayMemoryOptions = {}) {
    this.sizeBytes = sizeBytes;
    this.pageBytes = pageBytes;
    this.#buffer = new ArrayBuffer(reserveBytes ?? sizeBytes);
    if (reserveBytes === undefined) return;
    this.grow = async (atLeastBytes) => {
      if (atLeastBytes > reserveBytes) throw new Error(`INVALID_SIZE: ${atLeastBytes} of ${reserveBytes} B`);
      this.sizeBytes = Math.max(this.sizeBytes, Math.min(reserveBytes, this.#roundUp(atLeastBytes)));
    };
  }

  bytes(offset: number, length: number): Uint8Array {
    this.#check(offset, length, 1);
    return new Uint8Array(this.#buffer, offset, length);
  }

  words32(offset: number, count: number): Uint32Array {
    this.#check(offset, count * 4, 4);
    return new Uint32Array(this.#buffer, offset, count);
  }

  discard(offset: number, length: number): void {
    this.#check(offset, length, this.pageBytes);
    this.bytes(offset, length).fill(0);
    for (const page of this.#pages(offset, length)) this.discarded.add(page);
  }

  populate(offset: number, length: number): void {
    this.#check(offset, length, this.pageBytes);
    const missing = this.#pages(offset, length).filter((page) => this.discarded.has(page));
    if (missing.length > this.freePages) throw new Error('ENOMEM');
    this.freePages -= missing.length;
    for (const page of missing) this.discarded.delete(page);
    this.populations.push({ offset, length });
  }

  /** @throws Error when somebody has written on a page that was given back and not populated since. */
  assertNoBlindWrites(): void {
    for (const page of this.discarded) {
      const at = page * this.pageBytes;
      const written = this.bytes(at, Math.min(this.pageBytes, this.sizeBytes - at)).some((byte) => byte !== 0);
      if (written) throw new Error(`page ${page} was written and not populated before`);
    }
  }

  /** Changes a word behind everybody's back. */
  poke(offset: number, word: number): void {
    this.words32(offset, 1)[0] = word;
  }

  #pages(offset: number, length: number): number[] {
    return Array.from({ length: length / this.pageBytes }, (_, i) => offset / this.pageBytes + i);
  }

  #check(offset: number, length: number, unit: number): void {
    const whole = length > 0 && offset >= 0 && offset % unit === 0 && length % unit === 0;
    if (!whole || offset + length > this.sizeBytes) {
      throw new RangeError(`[${offset}, ${offset + length}) of ${this.sizeBytes} B, in units of ${unit} B`);
    }
  }

  #roundUp(bytes: number): number {
    return Math.ceil(bytes / this.pageBytes) * this.pageBytes;
  }
}
