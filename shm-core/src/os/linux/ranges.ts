/**
 * Where segments are mapped. Invariants: what was ever viewed is never unmapped (idle-addresses.ts); large pages are mapped without
 * reserving any: those that are there were populated, and those that are not must stay in the pool.
 */
import { constants } from 'node:buffer';
import { checkAlignment, checkExtent, checkWholePages } from '../extents.ts';
import type { Access, Advice, AdviceOutcome, MappedRange, PageKind } from '../os.ts';
import { advise, discard, populate } from './advise.ts';
import { reserveAligned } from './aligned-addresses.ts';
import { IdleAddresses } from './idle-addresses.ts';
import { checked, lastErrno, libc, osError, viewOf } from './libc.ts';
import { TRANSPARENT_PAGE_BYTES } from './transparent-pages.ts';

const PROT_READ = 1;
const PROT_WRITE = 2;
const MAP_SHARED = 0x1;
const MAP_FIXED = 0x10;
const MAP_NORESERVE = 0x4000;
const MADV_DONTFORK = 10;

const EACCES = 13;

const READ_WRITE = PROT_READ | PROT_WRITE;

/** Maps segments and remembers the address ranges that may be used again. */
export class AddressRanges {
  readonly #addresses = new IdleAddresses();

  /** Maps the first `bytes` of the segment behind `fd`. @throws OsError (ENOMEM, EACCES, EPERM). */
  map(fd: number, bytes: number, access: Access, kind: PageKind): MappedRange {
    const protection = access === 'write' ? READ_WRITE : PROT_READ;
    const pool = `${kind} ${bytes}`;
    const flags = kind === 'base' ? MAP_SHARED : MAP_SHARED | MAP_NORESERVE;
    const reused = this.#addresses.take(pool);
    // The kernel maps a transparent page as one only where one may begin.
    const place = reused ?? (kind === 'transparent-2m' ? reserveAligned(bytes, TRANSPARENT_PAGE_BYTES) : undefined);
    const address =
      place === undefined
        ? checked('mmap', libc().mmap(0, bytes, protection, flags, fd, 0), `${bytes} B`)
        : this.#addresses.mapOver({ address: place, bytes, pool }, () =>
            libc().mmap(place, bytes, protection, flags | MAP_FIXED, fd, 0),
          );
    const giveUp = (viewed: boolean, reusable: boolean): void =>
      this.#addresses.giveUp({ address, bytes, pool: reusable ? pool : null }, viewed || reused !== undefined);
    if (libc().madvise(address, bytes, MADV_DONTFORK) < 0) {
      const error = osError('madvise', lastErrno());
      giveUp(false, true);
      throw error;
    }
    return new LinuxRange(address, bytes, access, giveUp);
  }
}

class LinuxRange implements MappedRange {
  readonly mappedBytes: number;
  readonly access: Access;
  readonly transferable = true;
  readonly #address: number;
  readonly #giveUp: (viewed: boolean, reusable: boolean) => void;
  #views: ArrayBuffer[] = [];
  /** How many views there may be before those that somebody detached are forgotten. */
  #viewsMax = 64;
  #viewed = false;
  #reusable = true;
  #released = false;

  constructor(address: number, bytes: number, access: Access, giveUp: (viewed: boolean, reusable: boolean) => void) {
    this.#address = address;
    this.mappedBytes = bytes;
    this.access = access;
    this.#giveUp = giveUp;
  }

  view(offset: number, length: number): ArrayBuffer {
    const address = this.#part(offset, length);
    if (length > constants.MAX_LENGTH) {
      throw new RangeError(`a view of ${length} B is longer than an ArrayBuffer may be (${constants.MAX_LENGTH} B)`);
    }
    const buffer = viewOf(address, length);
    this.#remember(buffer);
    return buffer;
  }

  #remember(buffer: ArrayBuffer): void {
    this.#viewed = true;
    this.#views.push(buffer);
    if (this.#views.length < this.#viewsMax) return;
    this.#views = this.#views.filter(({ detached }) => !detached);
    this.#viewsMax = Math.max(64, this.#views.length * 2);
  }

  bytes(offset: number, length: number): Uint8Array<ArrayBuffer> {
    return new Uint8Array(this.view(offset, length));
  }

  words32(offset: number, count: number): Uint32Array {
    checkAlignment(offset, 4);
    return new Uint32Array(this.view(offset, count * 4));
  }

  words64(offset: number, count: number): BigUint64Array {
    checkAlignment(offset, 8);
    return new BigUint64Array(this.view(offset, count * 8));
  }

  floats64(offset: number, count: number): Float64Array {
    checkAlignment(offset, 8);
    return new Float64Array(this.view(offset, count * 8));
  }

  advise(advice: Advice, offset: number, length: number): AdviceOutcome {
    return advise(this.#part(offset, length), length, advice, this.access === 'write');
  }

  discard(offset: number, length: number): void {
    const address = this.#writablePart(offset, length);
    checkWholePages(offset, length, libc().getpagesize());
    discard(address, length);
  }

  populate(offset: number, length: number): void {
    populate(this.#writablePart(offset, length), length);
  }

  /** Where a part begins. */
  #part(offset: number, length: number): number {
    if (this.#released) throw new Error('the range is released');
    checkExtent(offset, length, this.mappedBytes);
    return this.#address + offset;
  }

  /** The kernel looks at how the descriptor was opened, not at how it is mapped. */
  #writablePart(offset: number, length: number): number {
    const address = this.#part(offset, length);
    if (this.access !== 'write') throw osError('madvise', EACCES, 'the range is mapped for reading only');
    return address;
  }

  keepFromReuse(): void {
    this.#reusable = false;
  }

  release(): void {
    if (this.#released) return;
    this.#released = true;
    // A stale control word must not reach whatever is mapped here next.
    for (const buffer of this.#views) if (!buffer.detached) buffer.transfer();
    this.#views = [];
    this.#giveUp(this.#viewed, this.#reusable);
  }
}
