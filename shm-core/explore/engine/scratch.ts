/**
 * A participant's private copy of the segments, in which the code under test runs. Its control words are poisoned: what they hold is in
 * the explorer's memory alone. Code that stores to one without `Atomics` is found by the poison that is gone, and code that loads one
 * by what the poison makes it do: the pattern changes from run to run, and the same record then leads to different steps.
 */
import type { MappedRange } from '../../src/os/os.ts';
import type { AddressSpace } from './address-space.ts';

const PATTERNS = [0x5a5a_5a5a, 0x2d2d_2d2d] as const;

interface Copy {
  readonly name: string;
  readonly buffer: ArrayBuffer;
  readonly words: Int32Array;
  /** The segment as it starts, poisoned with each of the patterns. */
  readonly templates: readonly Int32Array[];
  readonly controlWords: readonly { readonly name: string; readonly index: number }[];
}

export class Scratch {
  readonly #copies: readonly Copy[];
  readonly #segmentOf: ReadonlyMap<ArrayBufferLike, number>;
  #pattern = 0;

  constructor(space: AddressSpace) {
    this.#copies = space.segments.map(({ name, initial, controlWords }) => {
      const words = controlWords.flatMap(({ name: word, offset, bytes }) =>
        Array.from({ length: bytes / 4 }, (_, half) => ({ name: word, index: offset / 4 + half })),
      );
      const templates = PATTERNS.map((pattern) => {
        const template = new Int32Array(initial.slice(0));
        for (const { index } of words) template[index] = pattern;
        return template;
      });
      const buffer = new ArrayBuffer(initial.byteLength);
      return { name, buffer, words: new Int32Array(buffer), templates, controlWords: words };
    });
    this.#segmentOf = new Map(this.#copies.map(({ buffer }, index) => [buffer, index]));
  }

  /** Everything as at the start, with the other poison. */
  reset(): void {
    this.#pattern = 1 - this.#pattern;
    for (const { words, templates } of this.#copies) words.set(templates[this.#pattern] ?? []);
  }

  /** The segment that a view is on; undefined for memory that is nobody else's business. */
  segmentOf(buffer: ArrayBufferLike): number | undefined {
    return this.#segmentOf.get(buffer);
  }

  /** A control word that was stored to without `Atomics`, by name. */
  plainStore(): string | null {
    for (const { name, words, controlWords } of this.#copies) {
      const changed = controlWords.find(({ index }) => words[index] !== PATTERNS[this.#pattern]);
      if (changed !== undefined) return `${name}.${changed.name}`;
    }
    return null;
  }

  /** A number for the plain data that was written so far. */
  digest(): number {
    let digest = 0;
    for (const { words, templates } of this.#copies) {
      const template = templates[this.#pattern] ?? new Int32Array();
      for (let i = 0; i < words.length; i += 1) {
        const word = words[i] ?? 0;
        if (word !== template[i]) digest = (Math.imul(digest ^ i, 0x01000193) ^ word) | 0;
      }
    }
    return digest;
  }

  /** The segment, as code that attached to it sees it. @throws Error when there is none of that name. */
  range(name: string): MappedRange {
    const copy = this.#copies.find((candidate) => candidate.name === name);
    if (copy === undefined) throw new Error(`there is no segment ${name}`);
    return new ScratchRange(copy.buffer);
  }

  /** How a view of these segments is told apart from others in a picture of a participant's state; null for other memory. */
  placeOf(view: ArrayBufferView): string | null {
    const segment = this.#segmentOf.get(view.buffer);
    return segment === undefined ? null : `${segment}+${view.byteOffset}:${view.byteLength}`;
  }
}

export class ScratchRange implements MappedRange {
  readonly mappedBytes: number;
  readonly access = 'write';
  readonly transferable = false;
  readonly #memory: ArrayBuffer;

  constructor(memory: ArrayBuffer) {
    this.#memory = memory;
    this.mappedBytes = memory.byteLength;
  }

  view(): ArrayBuffer {
    throw new Error('scratch memory has no transferable views');
  }
  bytes(offset: number, length: number): Uint8Array<ArrayBuffer> {
    return new Uint8Array(this.#memory, offset, length);
  }
  words32(offset: number, count: number): Uint32Array {
    return new Uint32Array(this.#memory, offset, count);
  }
  words64(offset: number, count: number): BigUint64Array {
    return new BigUint64Array(this.#memory, offset, count);
  }
  floats64(offset: number, count: number): Float64Array {
    return new Float64Array(this.#memory, offset, count);
  }
  advise(): 'unsupported' {
    return 'unsupported';
  }
  discard(offset: number, length: number): void {
    this.bytes(offset, length).fill(0);
  }
  populate(): void {
    // All of it is there.
  }
  keepFromReuse(): void {
    // Addresses are the engine's here.
  }
  release(): void {
    // Scratch memory outlives what is attached to it.
  }
}
