/**
 * The words of one case: those of its segments, by their names in the layouts, and ghost words, which exist for the test alone. An
 * address is a number; equal addresses are the same word in every participant.
 */
import type { Layout } from '../../src/layout/define-layout.ts';
import type { Value } from './values.ts';

/** A word of a segment. */
export interface NamedWord {
  readonly name: string;
  /** B from the start of the segment. */
  readonly offset: number;
  readonly bytes: 4 | 8;
}

/** A piece of shared memory as it is when the participants start. */
export interface Segment {
  readonly name: string;
  readonly initial: ArrayBuffer;
  /** The words that processes decide by: code touches them through `Atomics` or it is wrong. */
  readonly controlWords: readonly NamedWord[];
}

/** A word, for whoever writes a case. */
export type WordRef = string | { readonly segment: string; readonly word: string };

const SEGMENT_SPAN = 2 ** 24;
const FIRST_GHOST = 2 ** 40;

export class AddressSpace {
  readonly segments: readonly Segment[];
  readonly #names = new Map<number, string>();
  readonly #widths = new Map<number, 4 | 8>();
  readonly #byName = new Map<string, number>();
  readonly #ghosts = new Map<string, number>();
  readonly #ghostStart: ReadonlyMap<string, Value>;

  constructor(segments: readonly Segment[], ghosts: Readonly<Record<string, Value>> = {}) {
    this.segments = segments;
    this.#ghostStart = new Map(Object.entries(ghosts));
    segments.forEach((segment, index) => {
      for (const { name, offset, bytes } of segment.controlWords) {
        const address = index * SEGMENT_SPAN + offset;
        this.#names.set(address, `${segment.name}.${name}`);
        this.#byName.set(`${segment.name}.${name}`, address);
        this.#widths.set(address, bytes);
      }
    });
  }

  addressOf(segment: number, offset: number, bytes: 4 | 8): number {
    const address = segment * SEGMENT_SPAN + offset;
    const width = this.#widths.get(address);
    if (width === undefined) this.#widths.set(address, bytes);
    else if (width !== bytes) throw new Error(`${this.nameOf(address)} has ${width} B and was touched as ${bytes} B`);
    return address;
  }

  /** @throws Error when the segment has no such control word. A name alone is a ghost, made on first use. */
  resolve(word: WordRef): number {
    if (typeof word === 'string') {
      let ghost = this.#ghosts.get(word);
      if (ghost === undefined) {
        ghost = FIRST_GHOST + this.#ghosts.size;
        this.#ghosts.set(word, ghost);
        this.#names.set(ghost, `(${word})`);
      }
      return ghost;
    }
    const address = this.#byName.get(`${word.segment}.${word.word}`);
    if (address === undefined) throw new Error(`there is no control word ${word.segment}.${word.word}`);
    return address;
  }

  nameOf(address: number): string {
    const segment = this.segments[Math.floor(address / SEGMENT_SPAN)];
    return this.#names.get(address) ?? `${segment?.name}+0x${(address % SEGMENT_SPAN).toString(16)}`;
  }

  initialOf(address: number): Value {
    if (address >= FIRST_GHOST) return this.#ghostStart.get(this.nameOf(address).slice(1, -1)) ?? 0;
    const segment = this.segments[Math.floor(address / SEGMENT_SPAN)];
    if (segment === undefined) throw new Error(`address ${address} is in no segment`);
    const memory = new DataView(segment.initial);
    const offset = address % SEGMENT_SPAN;
    return this.#widths.get(address) === 8 ? memory.getBigUint64(offset, true) : memory.getInt32(offset, true);
  }
}

/** The control words of a region: those whose writers are said to be atomic. `at`: where the region begins in its segment, B. */
export function controlWordsOf(layout: Layout, at = 0, prefix = ''): NamedWord[] {
  return layout.fields
    .filter(({ doc, type }) => /\batomic\b/.test(doc) && type !== 'bytes')
    .flatMap(({ name, type, count, offset }) => {
      const bytes = type === 'u32' ? (4 as const) : (8 as const);
      return Array.from({ length: count }, (_, element) => ({
        name: `${prefix}${name}${count === 1 ? '' : `[${element}]`}`,
        offset: at + offset + element * bytes,
        bytes,
      }));
    });
}
