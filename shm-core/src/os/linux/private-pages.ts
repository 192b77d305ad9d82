/**
 * Private anonymous memory on Linux. Invariants: addresses that JavaScript has seen never become unmapped (idle-addresses.ts); a view
 * never outlives the protection that it was made under. Whatever call fails, nothing new stays mapped.
 */
import { constants } from 'node:buffer';
import { checkExtent, checkSegmentBytes } from '../extents.ts';
import { type Advice, type AdviceOutcome, OsError, type PageKind, type PagePool } from '../os.ts';
import type { PrivateMemory, PrivateRange, Protection } from '../private-memory.ts';
import { advise, populate } from './advise.ts';
import { hugePageBytes, hugePagePool } from './huge-pages.ts';
import { IdleAddresses, type Place } from './idle-addresses.ts';
import { checked, lastErrno, libc, osError, viewOf } from './libc.ts';
import { lockedMemoryLimit, transparentBytesAt, transparentPageBytes } from './process-memory.ts';

const PROT_READ = 1;
const PROT_WRITE = 2;
const PROT_EXEC = 4;
const MAP_PRIVATE = 0x2;
const MAP_FIXED = 0x10;
const MAP_ANONYMOUS = 0x20;
const MAP_HUGETLB = 0x40000;
const MAP_HUGE_2MB = 21 << 26;
const MAP_HUGE_1GB = 30 << 26;

const MADV_DONTNEED = 4;
const MADV_DONTFORK = 10;
const MADV_HUGEPAGE = 14;
const MADV_DONTDUMP = 16;
const MADV_DODUMP = 17;

const EPERM = 1;
const ENOMEM = 12;
const EAGAIN = 11;
const EINVAL = 22;
const ENODEV = 19;

const READ_WRITE = PROT_READ | PROT_WRITE;
const NEW_MEMORY = MAP_PRIVATE | MAP_ANONYMOUS;

const PAGE_FLAGS: Partial<Record<PageKind, number>> = {
  base: 0,
  'hugetlb-2m': MAP_HUGETLB | MAP_HUGE_2MB,
  'hugetlb-1g': MAP_HUGETLB | MAP_HUGE_1GB,
};

const PROTECTIONS: Readonly<Record<Protection, number>> = {
  none: 0,
  r: PROT_READ,
  rw: READ_WRITE,
  rx: PROT_READ | PROT_EXEC,
};

let memory: PrivateMemory | undefined;

/** The private memory of this process: addresses belong to all of it, so what is known of them does too. */
export function privateMemory(): PrivateMemory {
  memory ??= createPrivateMemory();
  return memory;
}

/** With addresses of its own: what one has given up, another does not use again. */
export function createPrivateMemory(): PrivateMemory {
  return new LinuxPrivateMemory();
}

class LinuxPrivateMemory implements PrivateMemory {
  readonly #addresses = new IdleAddresses();

  pageBytes(kind: PageKind): number | undefined {
    return kind === 'base' ? libc().getpagesize() : hugePageBytes(kind);
  }

  pagePool(kind: PageKind): PagePool | undefined {
    return hugePagePool(kind);
  }

  map(bytes: number, kind: PageKind): PrivateRange {
    const pageBytes = this.pageBytes(kind);
    const flags = PAGE_FLAGS[kind];
    if (pageBytes === undefined || flags === undefined) throw osError('mmap', ENODEV, `there are no ${kind} pages`);
    checkSegmentBytes(bytes, pageBytes);
    const pool = `${kind} ${bytes}`;
    const reused = this.#addresses.take(pool);
    const address =
      reused === undefined
        ? checked('mmap', libc().mmap(0, bytes, READ_WRITE, NEW_MEMORY | flags, -1, 0), `${bytes} B of ${kind} pages`)
        : this.#addresses.mapOver({ address: reused, bytes, pool }, () =>
            libc().mmap(reused, bytes, READ_WRITE, NEW_MEMORY | flags | MAP_FIXED, -1, 0),
          );
    const giveUp = (viewed: boolean, reusable: boolean): void =>
      this.#giveUp({ address, bytes, pool: reusable ? pool : null }, viewed || reused !== undefined);
    try {
      checked('madvise', libc().madvise(address, bytes, MADV_DONTFORK), 'MADV_DONTFORK');
      // Their reservation is no promise to a memory cgroup, which kills whoever touches more than it allows. Not lazily, then.
      if (kind !== 'base') advise(address, bytes, 'populate', true);
    } catch (error) {
      giveUp(false, true);
      throw error;
    }
    return new LinuxPrivateRange(address, bytes, pageBytes, giveUp);
  }

  #giveUp(place: Place, viewed: boolean): void {
    try {
      this.#addresses.giveUp(place, viewed);
    } catch (error) {
      // The addresses cannot be had again yet; the memory need not be kept so long.
      libc().madvise(place.address, place.bytes, MADV_DONTNEED);
      throw error;
    }
  }
}

class LinuxPrivateRange implements PrivateRange {
  readonly address: number;
  readonly mappedBytes: number;
  readonly #pageBytes: number;
  readonly #giveUp: (viewed: boolean, reusable: boolean) => void;
  #protection: Protection = 'rw';
  #views: ArrayBuffer[] = [];
  #viewed = false;
  /** False once somebody took a view out of our hands: it must not show what is mapped here next. */
  #reusable = true;
  #released = false;

  constructor(address: number, bytes: number, pageBytes: number, giveUp: (viewed: boolean, reusable: boolean) => void) {
    this.address = address;
    this.mappedBytes = bytes;
    this.#pageBytes = pageBytes;
    this.#giveUp = giveUp;
  }

  view(offset: number, length: number): ArrayBuffer {
    const address = this.#part(offset, length);
    if (length > constants.MAX_LENGTH) {
      throw new RangeError(`a view of ${length} B is longer than an ArrayBuffer may be (${constants.MAX_LENGTH} B)`);
    }
    const buffer = viewOf(address, length);
    this.#viewed = true;
    this.#views.push(buffer);
    return buffer;
  }

  protect(protection: Protection): void {
    const address = this.#part(0, this.mappedBytes);
    if (libc().mprotect(address, this.mappedBytes, PROTECTIONS[protection]) < 0) {
      const error = osError('mprotect', lastErrno(), `${protection}, ${this.mappedBytes} B`);
      // A range that the kernel keeps in several pieces may be half done.
      libc().mprotect(address, this.mappedBytes, PROTECTIONS[this.#protection]);
      throw error;
    }
    this.#protection = protection;
    // IMPORTANT: no JavaScript runs between the call above and this line, so that none meets a view that the page tables refuse.
    this.#detachViews();
  }

  #detachViews(): void {
    for (const buffer of this.#views) {
      if (buffer.detached) this.#reusable = false;
      else buffer.transfer();
    }
    this.#views = [];
  }

  advise(advice: Advice): AdviceOutcome {
    const address = this.#part(0, this.mappedBytes);
    try {
      return advise(address, this.mappedBytes, advice, this.#protection === 'rw');
    } catch (error) {
      // `willneed` on a kernel without swap.
      if (error instanceof OsError && error.code === 'EBADF') return 'unsupported';
      throw error;
    }
  }

  populate(offset: number, length: number): void {
    this.#part(offset, length);
    const start = offset - (offset % this.#pageBytes);
    const end = Math.ceil((offset + length) / this.#pageBytes) * this.#pageBytes;
    populate(this.address + start, end - start);
  }

  discard(offset: number, length: number): void {
    checked('madvise', libc().madvise(this.#part(offset, length), length, MADV_DONTNEED), 'MADV_DONTNEED');
  }

  lock(): void {
    const address = this.#part(0, this.mappedBytes);
    if (libc().mlock(address, this.mappedBytes) >= 0) return;
    const errno = lastErrno();
    const limited = errno === ENOMEM || errno === EPERM || errno === EAGAIN;
    throw osError('mlock', errno, limited ? lockAdvice(this.mappedBytes) : `${this.mappedBytes} B`);
  }

  preferTransparent(): AdviceOutcome {
    const address = this.#part(0, this.mappedBytes);
    if (transparentPageBytes() !== 2 ** 21) return 'unsupported';
    if (libc().madvise(address, this.mappedBytes, MADV_HUGEPAGE) >= 0) return 'applied';
    const errno = lastErrno();
    if (errno === EINVAL) return 'unsupported';
    throw osError('madvise', errno, 'MADV_HUGEPAGE');
  }

  transparentBytes(): number {
    const address = this.#part(0, this.mappedBytes);
    // The kernel reports neighbours of one kind as one area. A mark that they do not have makes this range an area of its own.
    if (libc().madvise(address, this.mappedBytes, MADV_DONTDUMP) < 0) return 0;
    try {
      return transparentBytesAt(address, this.mappedBytes);
    } finally {
      libc().madvise(address, this.mappedBytes, MADV_DODUMP);
    }
  }

  release(): void {
    if (this.#released) return;
    this.#released = true;
    this.#detachViews();
    this.#giveUp(this.#viewed, this.#reusable);
  }

  /** Where a part begins. */
  #part(offset: number, length: number): number {
    if (this.#released) throw new Error('the range is released');
    checkExtent(offset, length, this.mappedBytes);
    return this.address + offset;
  }
}

function lockAdvice(bytes: number): string {
  return (
    `${bytes} B more would have to stay in memory, and RLIMIT_MEMLOCK is ${lockedMemoryLimit()}: ` +
    'raise it (ulimit -l, LimitMEMLOCK= of the service), or allocate without locked'
  );
}
