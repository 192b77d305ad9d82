/**
 * What shm-core asks of an operating system about memory that no other process sees: anonymous, private, zeroed when it is new. Beside
 * `os.ts`, which is about the memory that processes share.
 */
import type { Advice, AdviceOutcome, PageKind, PagePool } from './os.ts';

/** What the page tables allow. Nothing is ever writable and executable at once. */
export type Protection = 'none' | 'r' | 'rw' | 'rx';

/** The private memory of one process. */
export interface PrivateMemory {
  /** Size of one page of `kind`, B; undefined when this platform has no such pages. */
  pageBytes(kind: PageKind): number | undefined;
  /** How full the pool of `kind` is; undefined when the kind has none. */
  pagePool(kind: PageKind): PagePool | undefined;
  /**
   * New, zeroed, readable and writable memory; `bytes` is a positive multiple of the page size. Large pages are all there when this
   * returns, base pages are there when they are touched. Not inherited by forked children. @throws OsError, and nothing is mapped then.
   */
  map(bytes: number, kind: PageKind): PrivateRange;
}

/** A part of this process's addresses that is backed by private memory. Offsets and lengths are checked. */
export interface PrivateRange {
  /** Where it begins: for the operating system's eyes only. */
  readonly address: number;
  readonly mappedBytes: number;
  /** An ArrayBuffer over a part, no copy. It lives until the next `protect`, or `release`. */
  view(offset: number, length: number): ArrayBuffer;
  /** Changes the page tables and detaches every view. @throws OsError, and then nothing has changed and the views live on. */
  protect(protection: Protection): void;
  /** For the whole range. @throws OsError (ENOMEM: `populate` found no memory). */
  advise(advice: Advice): AdviceOutcome;
  /** Makes sure that a part is there; widened to whole pages. Writable ranges only. @throws OsError (ENOMEM). */
  populate(offset: number, length: number): void;
  /** Gives whole base pages back: they read as zero, and are there again when touched. Not for locked or large pages. @throws OsError. */
  discard(offset: number, length: number): void;
  /** Brings everything into memory and keeps it there until `release`. @throws OsError that says which limit is in the way. */
  lock(): void;
  /** Asks for transparent pages of 2 MiB, from the next touch on. @throws OsError. */
  preferTransparent(): AdviceOutcome;
  /** How much of the range transparent large pages back at this moment, B, as the kernel reports it; 0 when it cannot be known. */
  transparentBytes(): number;
  /** Gives the memory back and detaches every view. What native code still points to is zeroed memory, never a hole. Idempotent. */
  release(): void;
}
