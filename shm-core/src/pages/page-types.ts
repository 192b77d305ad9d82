/**
 * Pages as their users see them. Invariant: what the page tables do not allow is not in the type either, and a value of one access is
 * never one of another, whatever it looks like: `access` tells them apart.
 */

import type { NativeFunction, NativeSignature, NativeType } from '../os/linux/executable-code.ts';
import type { Advice, AdviceOutcome } from '../os/os.ts';
import type { PageGrant } from './page-block.ts';
import type { ReadonlyBytes } from './readonly-bytes.ts';

/** What can be asked of `protect`. Code is made executable elsewhere: see `@leasehold/shm-core/executable-pages`. */
export type PageAccess = 'rw' | 'r' | 'none';

/**
 * Private memory whose type says what may be done with it, and whose page tables agree: reading `none` or writing `r` does not compile,
 * and kills the process if native code does it.
 */
export type Pages<Access extends PageAccess | 'rx'> = PagesByAccess[Access];

export interface PagesByAccess {
  readonly rw: WritablePages;
  readonly r: ReadablePages;
  readonly none: InaccessiblePages;
  readonly rx: ExecutablePages;
}

/**
 * What all pages have. A value is used up by `protect`, `toExecutable` and `free`: from then on its views have length 0 and everything
 * else but `free` throws UsedPagesError. Pages are not freed by the garbage collector: free them, or declare them with `using`.
 */
export interface AnyPages<Access extends PageAccess | 'rx'> extends PageGrant, Disposable {
  readonly access: Access;
  /**
   * The same memory under another protection. Uses this value up, unless the operating system refuses.
   * @throws UsedPagesError; OsError, and then nothing has changed.
   */
  protect<To extends PageAccess>(access: To): Pages<To>;
  /**
   * Gives the memory back and uses this value up. Does nothing to a value that is used up already. Native code that still has a pointer
   * meets zeroed memory.
   */
  free(): void;
}

/** A hint about the whole block: never changes what is in it, or its size. */
interface Advisable {
  /** @throws UsedPagesError; OsError (ENOMEM: `populate` found no memory). */
  advise(advice: Advice): AdviceOutcome;
}

export interface WritablePages extends AnyPages<'rw'>, Advisable {
  /** Exactly the requested length, the same view every time. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /**
   * Zeroes a part and gives the whole pages in it back to the system; a later touch gets new ones. Returns how much was given back, B:
   * nothing of locked or large pages, which stay.
   * @throws RangeError outside the block; UsedPagesError; OsError.
   */
  decommit(offset: number, length: number): number;
  /** The block as memory that something is built on, a vector for example. Works as long as this value does. @throws UsedPagesError. */
  memory(): PagesMemory;
}

export interface ReadablePages extends AnyPages<'r'>, Advisable {
  /** Exactly the requested length, the same view every time. */
  readonly bytes: ReadonlyBytes;
}

/** Nothing of it can be read, until it is protected otherwise. What was in it is still there. */
export type InaccessiblePages = AnyPages<'none'>;

export interface ExecutablePages extends AnyPages<'rx'> {
  /** The code, to read. */
  readonly bytes: ReadonlyBytes;
  /**
   * The machine code at `offset`, as a function of the C calling convention. Nothing is checked: wrong code or a wrong signature kills
   * the process, or worse. Throws UsedPagesError once these pages are used up.
   * @throws RangeError outside the block; UsedPagesError.
   */
  functionAt<const Takes extends readonly NativeType[], Returns extends NativeType | 'void'>(
    offset: number,
    signature: NativeSignature<Takes, Returns>,
  ): NativeFunction<Takes, Returns>;
}

/** Part of the block by part. Views of it live as long as the pages that it is of; every call throws UsedPagesError after that. */
export interface PagesMemory {
  readonly sizeBytes: number;
  readonly pageBytes: number;
  bytes(offset: number, length: number): Uint8Array<ArrayBuffer>;
  words32(offset: number, count: number): Uint32Array<ArrayBuffer>;
  /** Zeroes a part and gives its whole pages back, where they can be. */
  discard(offset: number, length: number): void;
  /** Makes sure that a part is there. @throws OsError (ENOMEM). */
  populate(offset: number, length: number): void;
}

/** Pages that were protected otherwise, made executable or freed were used again. */
export class UsedPagesError extends Error {
  override readonly name = 'UsedPagesError';

  /** `use` says what used them up. */
  constructor(access: string, use: string) {
    super(`these Pages<'${access}'> were ${use}`);
  }
}
