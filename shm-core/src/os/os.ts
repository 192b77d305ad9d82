/**
 * What the rest of shm-core may ask of an operating system about memory. One backend per platform implements it, and one
 * conformance suite (`os/testing/segment-conformance.ts`) holds every backend to the same behaviour.
 */

export const PageKinds = ['base', 'transparent-2m', 'hugetlb-2m', 'hugetlb-1g', 'windows-large'] as const;
/** What kind of pages back a segment. */
export type PageKind = (typeof PageKinds)[number];

/**
 * What a process is going to do with memory: need it soon, go through it in order or at random, not need it for a while, or have it there
 * right now. Never changes what is in it, or how much there is.
 */
export const Advices = ['willneed', 'sequential', 'random', 'cold', 'populate'] as const;
export type Advice = (typeof Advices)[number];
/** Whether the platform took the advice for this kind of memory. */
export type AdviceOutcome = 'applied' | 'unsupported';

/**
 * What became of memory that was to consist of transparent pages: the platform says that it does; it has not enough memory in one piece;
 * it does not make such pages.
 */
export type CollapseOutcome = 'collapsed' | 'fragmented' | 'refused';

/** What a mapping of a segment may do; the MMU holds to it. */
export type Access = 'read' | 'write';

/** A file descriptor (or handle) that this process owns. Closing is idempotent; using it after closing throws. */
export interface OwnedFd extends Disposable {
  /** The number, for system calls. Throws when closed. */
  readonly raw: number;
  readonly closed: boolean;
  close(): void;
  /** As `close`, but what the kernel does then (freeing gigabytes takes it a while) does not stop this thread. Resolves when it is done. */
  closeInBackground(): Promise<void>;
}

/**
 * A range of this process's addresses onto which a segment is mapped.
 *
 * Control words come from `words32`, `words64`, `floats64`, payload from `view` where the backend is `transferable`, from `bytes`
 * where it is not. Each call makes one new view, and its first one costs time that grows with its length: ask once, keep it.
 * Offsets and counts are checked; an empty or unaligned view is a RangeError.
 */
export interface MappedRange {
  /** Mapped length, B: a multiple of the segment's page size. */
  readonly mappedBytes: number;
  readonly access: Access;
  /**
   * Whether `view` can make buffers of a part of the range, which `ArrayBuffer.prototype.transfer()` detaches without copying.
   * False for `in-memory`, whose segments are one ArrayBuffer each: a part of it cannot be detached on its own.
   */
  readonly transferable: boolean;
  /** An ArrayBuffer over `[offset, offset + length)`, no copy. @throws Error when the range is not `transferable`. */
  view(offset: number, length: number): ArrayBuffer;
  /** Payload bytes on either backend. */
  bytes(offset: number, length: number): Uint8Array<ArrayBuffer>;
  words32(offset: number, count: number): Uint32Array;
  words64(offset: number, count: number): BigUint64Array;
  floats64(offset: number, count: number): Float64Array;
  /** @throws RangeError outside the range; OsError (ENOMEM: `populate` found no memory). */
  advise(advice: Advice, offset: number, length: number): AdviceOutcome;
  /**
   * Gives the memory of a part back, for every process: it reads as zero, and `populate` gets it again. Needs `write` access; both ends
   * on page borders. @throws RangeError; OsError.
   */
  discard(offset: number, length: number): void;
  /** Makes sure that memory is there, so that no touch of it can fail. Needs `write` access. @throws RangeError; OsError (ENOMEM; EFAULT of large pages). */
  populate(offset: number, length: number): void;
  /** Somebody took a view out of our hands: after `release`, these addresses are never used again. */
  keepFromReuse(): void;
  /**
   * Gives up the shared pages. Idempotent; no view can be made afterwards. Where the range is `transferable`, every view it made is
   * detached, so that stale JavaScript touches nothing, and native pointers into it meet private zeroed memory and never fault.
   * IMPORTANT: a buffer that the caller got by transferring a view is the caller's to drop, because the addresses are used again
   * for later mappings. `in-memory` can take nothing back: its views stay usable.
   */
  release(): void;
}

/** The pages that a platform has set aside for one kind. */
export interface PagePool {
  readonly totalPages: number;
  /** Pages not in use, those already promised to somebody included. */
  readonly freePages: number;
  /** Free pages that are promised to mappings which have not touched them yet. */
  readonly reservedPages: number;
}

/** A part of a segment, from its start, that is never swapped out. Everything off the event loop: it takes long. */
export interface ResidentPart {
  /** Now the first `bytes` of the segment are; they are populated. @throws OsError (ENOMEM, EPERM: the limit of locked memory), and leaves what was. */
  extendTo(bytes: number): Promise<void>;
  /** Now no more than the first `bytes` are. @throws OsError. */
  reduceTo(bytes: number): Promise<void>;
  /** Idempotent. @throws OsError. */
  release(): Promise<void>;
}

/** The memory operations of one platform. */
export interface SegmentOs {
  readonly name: 'linux' | 'in-memory';
  /** Size of a base page, B. */
  readonly basePageBytes: number;
  /** Size of one page of `kind`, B; undefined when this platform has no such pages. Makes no probe beyond reading what exists. */
  pageBytes(kind: PageKind): number | undefined;
  /** How full the pool of `kind` is; undefined when the kind has no pool (or does not exist). */
  pagePool(kind: PageKind): PagePool | undefined;
  /**
   * A new, zeroed, unsealed segment of exactly `bytes`, a positive multiple of the page size. Nothing is populated yet.
   * @throws OsError when the platform refuses (the pool is empty, the kind is unknown).
   */
  create(label: string, bytes: number, kind: PageKind): OwnedFd;
  /**
   * Reserves and populates `[offset, offset + bytes)`, off the event loop. The descriptor must stay open until the promise settles.
   * @throws OsError (ENOSPC, ENOMEM) and leaves what was there.
   */
  populate(fd: OwnedFd, offset: number, bytes: number): Promise<void>;
  /**
   * Backs `[offset, offset + bytes)` of a segment of `transparent-2m` pages by such pages, off the event loop: whole pages of which nothing
   * is populated yet. Whatever the outcome, `populate` follows. @throws OsError (ENOMEM, ENOSPC).
   */
  collapse(fd: OwnedFd, offset: number, bytes: number): Promise<CollapseOutcome>;
  /** Whether a populated segment is mapped by transparent pages from end to end: looked up, not believed. */
  isCollapsed(fd: OwnedFd): Promise<boolean>;
  /** Prefers memory of one NUMA node for what is populated from now on; unsupported where there is no choice, or no such node. */
  preferNode(fd: OwnedFd, node: number): 'preferred' | 'unsupported';
  /**
   * Gives the memory of `[offset, offset + bytes)` back, for every process, off the event loop. All of it reads as zero then; what is
   * given back are the whole pages in it. @throws OsError.
   */
  discard(fd: OwnedFd, offset: number, bytes: number): Promise<void>;
  /** Memory that the segment takes, B. */
  allocatedBytes(fd: OwnedFd): number;
  /** Keeps a part of the segment in memory, from nothing on. @throws OsError. */
  keepResident(fd: OwnedFd): ResidentPart;
  /** Forbids, for ever and for everybody, that the segment shrinks, grows or is sealed further. */
  seal(fd: OwnedFd): void;
  /** A second, read-only opening of the same segment. */
  openReadOnly(fd: OwnedFd): OwnedFd;
  /** Size of the segment behind a descriptor, B. */
  sizeOf(fd: OwnedFd): number;
  /** Maps the whole segment. `bytes` must be its size; not inherited by forked children. @throws OsError (ENOMEM, EACCES). */
  map(fd: OwnedFd, bytes: number, access: Access, kind: PageKind): MappedRange;
}

/** A system call that failed: which one, and the errno it left. */
export class OsError extends Error {
  override readonly name = 'OsError';
  /** The system call, for example `mmap`. */
  readonly call: string;
  /** errno as a number, for example 12. */
  readonly errno: number;
  /** errno by name, for example `ENOMEM`. */
  readonly code: string;

  constructor(call: string, errno: number, code: string, detail?: string) {
    super(`${call} failed: ${code}${detail === undefined ? '' : ` (${detail})`}`);
    this.call = call;
    this.errno = errno;
    this.code = code;
  }
}
