/** The in-memory backend with large pages in any condition, which writes down what was asked of it. For tests of the allocator. */
import { createInMemorySegmentOs } from '../../os/in-memory/segments.ts';
import {
  type CollapseOutcome,
  OsError,
  type OwnedFd,
  type PageKind,
  type PagePool,
  type ResidentPart,
  type SegmentOs,
} from '../../os/os.ts';

const MIB = 2 ** 20;
const PLENTY: PagePool = { totalPages: 10_000, freePages: 10_000, reservedPages: 0 };

/** The condition of one kind of hugetlb pages. */
export interface Hugetlb {
  readonly supported?: boolean;
  readonly pool?: PagePool;
  /** Fails `create` with this code. */
  readonly createFails?: string;
  /** Fails `populate` with this code. */
  readonly populateFails?: string;
}

/** Said of 2 MiB pages, if of nothing else. */
export interface Platform extends Hugetlb {
  /** Absent: it has none. */
  readonly gigabyte?: Hugetlb;
  /** What becomes of transparent pages; `unverified`: made, and not there when looked at. Absent: it has none. */
  readonly transparent?: CollapseOutcome | 'unverified';
}

const NO_PAGES: Hugetlb = { supported: false };

export class SpyOs implements SegmentOs {
  readonly name = 'in-memory';
  readonly calls: string[] = [];
  /** Descriptors that are open. */
  readonly open = new Map<number, PageKind>();
  populate: SegmentOs['populate'];
  readonly #os = createInMemorySegmentOs();
  readonly #platform: Platform;

  constructor(platform: Platform = {}) {
    this.#platform = platform;
    this.populate = async (fd, offset, bytes) => {
      this.calls.push(`populate ${offset} ${bytes}`);
      const fails = this.#condition(this.open.get(fd.raw) ?? 'base').populateFails;
      if (fails !== undefined) throw new OsError('posix_fallocate', 1, fails);
    };
  }

  #condition(kind: PageKind): Hugetlb {
    if (kind === 'hugetlb-2m') return this.#platform;
    if (kind === 'hugetlb-1g') return this.#platform.gigabyte ?? NO_PAGES;
    return {};
  }

  get basePageBytes() {
    return this.#os.basePageBytes;
  }
  pageBytes(kind: PageKind) {
    this.calls.push(`pageBytes ${kind}`);
    if (kind === 'transparent-2m') return this.#platform.transparent === undefined ? undefined : 2 * MIB;
    if (this.#condition(kind).supported === false) return undefined;
    return kind === 'hugetlb-1g' ? 1024 * MIB : 2 * MIB;
  }
  pagePool(kind: PageKind) {
    this.calls.push(`pagePool ${kind}`);
    return kind === 'transparent-2m' ? undefined : (this.#condition(kind).pool ?? PLENTY);
  }
  create(label: string, bytes: number, kind: PageKind) {
    this.calls.push(`create ${kind} ${bytes}`);
    const { createFails } = this.#condition(kind);
    if (createFails !== undefined) throw new OsError('memfd_create', 1, createFails);
    // Nobody looks into it.
    const fd = this.#os.create(label, this.basePageBytes, 'base');
    const { raw } = fd;
    const close = fd.close.bind(fd);
    this.open.set(raw, kind);
    fd.close = () => {
      this.open.delete(raw);
      close();
    };
    return fd;
  }
  async collapse(_fd: OwnedFd, offset: number, bytes: number): Promise<CollapseOutcome> {
    this.calls.push(`collapse ${offset} ${bytes}`);
    const { transparent = 'refused' } = this.#platform;
    return transparent === 'unverified' ? 'collapsed' : transparent;
  }
  async isCollapsed() {
    this.calls.push('isCollapsed');
    return this.#platform.transparent === 'collapsed';
  }
  preferNode(fd: OwnedFd, node: number): 'preferred' | 'unsupported' {
    this.calls.push(`preferNode ${fd.raw} ${node}`);
    return node === 0 ? 'preferred' : 'unsupported';
  }
  async discard(_fd: OwnedFd, offset: number, bytes: number) {
    this.calls.push(`discard ${offset} ${bytes}`);
  }
  allocatedBytes(...args: Parameters<SegmentOs['allocatedBytes']>) {
    return this.#os.allocatedBytes(...args);
  }
  keepResident(_fd: OwnedFd): ResidentPart {
    this.calls.push('keepResident');
    return { extendTo: async () => undefined, reduceTo: async () => undefined, release: async () => undefined };
  }
  seal(...args: Parameters<SegmentOs['seal']>) {
    this.calls.push('seal');
    this.#os.seal(...args);
  }
  openReadOnly(...args: Parameters<SegmentOs['openReadOnly']>) {
    this.calls.push('openReadOnly');
    return this.#os.openReadOnly(...args);
  }
  sizeOf(...args: Parameters<SegmentOs['sizeOf']>) {
    return this.#os.sizeOf(...args);
  }
  map(...args: Parameters<SegmentOs['map']>) {
    return this.#os.map(...args);
  }
}
