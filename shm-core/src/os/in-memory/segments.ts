/**
 * Segments without an operating system, for tests: each is one ArrayBuffer of this process. It keeps every rule of SegmentOs that
 * can be kept without an MMU: sizes, modes of descriptors, sealing, closing. It cannot stop a write through a `read` range, nor take
 * back what was viewed.
 */
import { checkAlignment, checkExtent, checkSegmentBytes, checkWholePages } from '../extents.ts';
import {
  type Access,
  type Advice,
  type AdviceOutcome,
  type CollapseOutcome,
  type MappedRange,
  OsError,
  type OwnedFd,
  type PageKind,
  type ResidentPart,
  type SegmentOs,
} from '../os.ts';

const BASE_PAGE_BYTES = 4096;

/** A segment, shared by all its descriptors. */
interface InMemorySegment {
  readonly memory: ArrayBuffer;
  sealed: boolean;
}

export function createInMemorySegmentOs(): SegmentOs {
  return new InMemorySegmentOs();
}

class InMemorySegmentOs implements SegmentOs {
  readonly name = 'in-memory';
  readonly basePageBytes = BASE_PAGE_BYTES;
  #nextRaw = 0;

  pageBytes(kind: PageKind): number | undefined {
    return kind === 'base' ? BASE_PAGE_BYTES : undefined;
  }

  pagePool(_kind: PageKind): undefined {
    return undefined;
  }

  create(_label: string, bytes: number, kind: PageKind): OwnedFd {
    if (kind !== 'base') throw new OsError('create', 19, 'ENODEV', `there are no ${kind} pages`);
    checkSegmentBytes(bytes, BASE_PAGE_BYTES);
    return this.#open({ memory: new ArrayBuffer(bytes), sealed: false }, 'write');
  }

  async populate(fd: OwnedFd, offset: number, bytes: number): Promise<void> {
    checkExtent(offset, bytes, this.sizeOf(fd));
  }

  async collapse(fd: OwnedFd, offset: number, bytes: number): Promise<CollapseOutcome> {
    checkExtent(offset, bytes, this.sizeOf(fd));
    return 'refused';
  }

  async isCollapsed(): Promise<boolean> {
    return false;
  }

  preferNode(): 'unsupported' {
    return 'unsupported';
  }

  async discard(fd: OwnedFd, offset: number, bytes: number): Promise<void> {
    checkExtent(offset, bytes, this.sizeOf(fd));
    new Uint8Array(opened(fd).segment.memory, offset, bytes).fill(0);
  }

  allocatedBytes(fd: OwnedFd): number {
    return this.sizeOf(fd);
  }

  keepResident(fd: OwnedFd): ResidentPart {
    const bytes = this.sizeOf(fd);
    return {
      extendTo: async (wanted) => checkExtent(0, wanted, bytes),
      reduceTo: async () => undefined,
      release: async () => undefined,
    };
  }

  seal(fd: OwnedFd): void {
    const { segment, access } = opened(fd);
    if (segment.sealed || access === 'read') throw new OsError('seal', 1, 'EPERM');
    segment.sealed = true;
  }

  openReadOnly(fd: OwnedFd): OwnedFd {
    return this.#open(opened(fd).segment, 'read');
  }

  sizeOf(fd: OwnedFd): number {
    return opened(fd).segment.memory.byteLength;
  }

  map(fd: OwnedFd, bytes: number, access: Access, _kind: PageKind): MappedRange {
    const { segment, access: opening } = opened(fd);
    const segmentBytes = segment.memory.byteLength;
    if (bytes !== segmentBytes) throw new RangeError(`the segment has ${segmentBytes} B, not ${bytes} B`);
    if (access === 'write' && opening === 'read') throw new OsError('map', 13, 'EACCES');
    return new InMemoryRange(segment.memory, access);
  }

  #open(segment: InMemorySegment, access: Access): OwnedFd {
    this.#nextRaw += 1;
    return new InMemoryFd(this.#nextRaw, segment, access);
  }
}

class InMemoryFd implements OwnedFd {
  readonly #raw: number;
  readonly segment: InMemorySegment;
  readonly access: Access;
  #closed = false;

  constructor(raw: number, segment: InMemorySegment, access: Access) {
    this.#raw = raw;
    this.segment = segment;
    this.access = access;
  }

  get raw(): number {
    if (this.#closed) throw new Error('the file descriptor is closed');
    return this.#raw;
  }

  get closed(): boolean {
    return this.#closed;
  }

  close(): void {
    this.#closed = true;
  }

  async closeInBackground(): Promise<void> {
    this.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

function opened(fd: OwnedFd): InMemoryFd {
  if (!(fd instanceof InMemoryFd)) throw new TypeError('not a descriptor of the in-memory backend');
  if (fd.closed) throw new Error('the file descriptor is closed');
  return fd;
}

class InMemoryRange implements MappedRange {
  readonly mappedBytes: number;
  readonly access: Access;
  readonly transferable = false;
  readonly #memory: ArrayBuffer;
  #released = false;

  constructor(memory: ArrayBuffer, access: Access) {
    this.#memory = memory;
    this.mappedBytes = memory.byteLength;
    this.access = access;
  }

  view(): ArrayBuffer {
    throw new Error('an in-memory range has no transferable views; use bytes()');
  }

  bytes(offset: number, length: number): Uint8Array<ArrayBuffer> {
    this.#check(offset, length, 1);
    return new Uint8Array(this.#memory, offset, length);
  }

  words32(offset: number, count: number): Uint32Array {
    this.#check(offset, count * 4, 4);
    return new Uint32Array(this.#memory, offset, count);
  }

  words64(offset: number, count: number): BigUint64Array {
    this.#check(offset, count * 8, 8);
    return new BigUint64Array(this.#memory, offset, count);
  }

  floats64(offset: number, count: number): Float64Array {
    this.#check(offset, count * 8, 8);
    return new Float64Array(this.#memory, offset, count);
  }

  advise(_advice: Advice, offset: number, length: number): AdviceOutcome {
    this.#check(offset, length, 1);
    return 'unsupported';
  }

  discard(offset: number, length: number): void {
    this.#checkWritable(offset, length);
    checkWholePages(offset, length, BASE_PAGE_BYTES);
    new Uint8Array(this.#memory, offset, length).fill(0);
  }

  populate(offset: number, length: number): void {
    this.#checkWritable(offset, length);
  }

  keepFromReuse(): void {
    // Addresses are the engine's here.
  }

  release(): void {
    this.#released = true;
  }

  #checkWritable(offset: number, length: number): void {
    this.#check(offset, length, BASE_PAGE_BYTES);
    if (this.access !== 'write') throw new OsError('madvise', 13, 'EACCES', 'the range is mapped for reading only');
  }

  #check(offset: number, length: number, wordBytes: number): void {
    if (this.#released) throw new Error('the range is released');
    checkExtent(offset, length, this.mappedBytes);
    checkAlignment(offset, wordBytes);
  }
}
