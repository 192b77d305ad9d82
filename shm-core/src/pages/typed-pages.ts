/**
 * Pages that are used up by every change. Invariant: of all values that stand for one block, at most one has it; the others know what
 * became of them, and hold nothing.
 */
import type { Advice, AdviceOutcome, PageKind } from '../os/os.ts';
import type { FallbackReason } from '../segment/large-pages.ts';
import type { PageBlock } from './page-block.ts';
import {
  type AnyPages,
  type PageAccess,
  type Pages,
  type PagesByAccess,
  type PagesMemory,
  type ReadablePages,
  UsedPagesError,
  type WritablePages,
} from './page-types.ts';
import type { ReadonlyBytes } from './readonly-bytes.ts';

/** What every kind of pages does. */
export class TypedPages<Access extends PageAccess | 'rx'> implements AnyPages<Access> {
  readonly access: Access;
  #block: PageBlock | undefined;
  #use = '';

  constructor(block: PageBlock, access: Access) {
    this.#block = block;
    this.access = access;
  }

  get requestedBytes(): number {
    return this.block.grant.requestedBytes;
  }

  get mappedBytes(): number {
    return this.block.grant.mappedBytes;
  }

  get pageBytes(): number {
    return this.block.grant.pageBytes;
  }

  get pageKind(): PageKind {
    return this.block.grant.pageKind;
  }

  get fallbackReason(): FallbackReason | null {
    return this.block.grant.fallbackReason;
  }

  get locked(): boolean {
    return this.block.grant.locked;
  }

  protect<To extends PageAccess>(access: To): Pages<To> {
    if (!Object.hasOwn(MAKERS, access)) throw new RangeError(`protect takes rw, r or none, not ${String(access)}`);
    const make = MAKERS[access];
    const block = this.block;
    block.protect(access);
    this.useUp(`protected as '${access}': use what protect returned`);
    return make(block);
  }

  free(): void {
    const block = this.#block;
    if (block === undefined) return;
    this.useUp('freed: allocate new ones');
    block.release();
  }

  [Symbol.dispose](): void {
    this.free();
  }

  /** The block, for as long as it is ours. Not in the types of users. */
  get block(): PageBlock {
    if (this.#block === undefined) throw new UsedPagesError(this.access, this.#use);
    return this.#block;
  }

  /** Lets go of the block, which another value has from now on. Not in the types of users. */
  useUp(use: string): void {
    this.#block = undefined;
    this.#use = use;
  }
}

class ReadWrite extends TypedPages<'rw'> implements WritablePages {
  get bytes(): Uint8Array<ArrayBuffer> {
    return this.block.bytes();
  }

  advise(advice: Advice): AdviceOutcome {
    return this.block.advise(advice);
  }

  decommit(offset: number, length: number): number {
    return this.block.decommit(offset, length);
  }

  memory(): PagesMemory {
    const { requestedBytes: sizeBytes, pageBytes } = this.block.grant;
    return {
      sizeBytes,
      pageBytes,
      bytes: (offset, length) => this.block.bytesOf(offset, length),
      words32: (offset, count) => this.block.words32Of(offset, count),
      discard: (offset, length) => void this.block.decommit(offset, length),
      populate: (offset, length) => this.block.populate(offset, length),
    };
  }
}

class ReadOnly extends TypedPages<'r'> implements ReadablePages {
  get bytes(): ReadonlyBytes {
    return this.block.bytes();
  }

  advise(advice: Advice): AdviceOutcome {
    return this.block.advise(advice);
  }
}

const MAKERS: { readonly [Access in PageAccess]: (block: PageBlock) => PagesByAccess[Access] } = {
  rw: (block) => new ReadWrite(block, 'rw'),
  r: (block) => new ReadOnly(block, 'r'),
  none: (block) => new TypedPages(block, 'none'),
};

/** The first value of a new block. */
export function writablePages(block: PageBlock): Pages<'rw'> {
  return MAKERS.rw(block);
}
