/**
 * Segments on Linux: sealed memfds. Invariants: mode 0600 from the start (a memfd is born 0777, and another uid could reopen a
 * read-only descriptor for writing), never executable where the kernel can promise it, close-on-exec, never inherited by a fork.
 */
import { fstatSync } from 'node:fs';
import { checkSegmentBytes } from '../extents.ts';
import type {
  Access,
  CollapseOutcome,
  MappedRange,
  OwnedFd,
  PageKind,
  PagePool,
  ResidentPart,
  SegmentOs,
} from '../os.ts';
import { pooled, pooledErrno } from './asynchronous.ts';
import { type LinuxFd, ownedFd } from './fd.ts';
import { hugePageBytes, hugePagePool } from './huge-pages.ts';
import { checked, lastErrno, libc, osError } from './libc.ts';
import { canPreferNode, preferNode } from './numa.ts';
import { AddressRanges } from './ranges.ts';
import { residentPart } from './resident-part.ts';
import { collapse, isCollapsed, transparentPageBytes } from './transparent-pages.ts';

const MFD_CLOEXEC = 0x1;
const MFD_ALLOW_SEALING = 0x2;
const MFD_HUGETLB = 0x4;
const MFD_NOEXEC_SEAL = 0x8;
const MFD_HUGE_2MB = 21 << 26;
const MFD_HUGE_1GB = 30 << 26;

const F_ADD_SEALS = 1033;
const F_SEAL_SEAL = 0x1;
const F_SEAL_SHRINK = 0x2;
const F_SEAL_GROW = 0x4;

const FALLOC_FL_KEEP_SIZE = 0x1;
const FALLOC_FL_PUNCH_HOLE = 0x2;
/** stat(2) counts in these, whatever the file system's own blocks are, B. */
const STAT_BLOCK_BYTES = 512;

const O_RDONLY = 0;
const O_CLOEXEC = 0o2000000;

const EINVAL = 22;
const ENODEV = 19;

/** 4 KiB on x86-64; arm64 kernels may have 16 or 64 KiB, of which 64 KiB is a multiple that suits all. */
const BASE_PAGE_BYTES = process.arch === 'arm64' ? 65_536 : 4096;

const PAGE_FLAGS: Partial<Record<PageKind, number>> = {
  base: 0,
  'transparent-2m': 0,
  'hugetlb-2m': MFD_HUGETLB | MFD_HUGE_2MB,
  'hugetlb-1g': MFD_HUGETLB | MFD_HUGE_1GB,
};

/** The memory operations of Linux. Keeps the address ranges of released mappings, so make one per process. */
export function createLinuxSegmentOs(): SegmentOs {
  return new LinuxSegmentOs();
}

class LinuxSegmentOs implements SegmentOs {
  readonly name = 'linux';
  readonly basePageBytes = BASE_PAGE_BYTES;
  readonly #ranges = new AddressRanges();

  pageBytes(kind: PageKind): number | undefined {
    if (kind === 'base') return BASE_PAGE_BYTES;
    return kind === 'transparent-2m' ? transparentPageBytes() : hugePageBytes(kind);
  }

  pagePool(kind: PageKind): PagePool | undefined {
    return hugePagePool(kind);
  }

  create(label: string, bytes: number, kind: PageKind): OwnedFd {
    const pageBytes = this.pageBytes(kind);
    if (pageBytes === undefined) throw osError('memfd_create', ENODEV, `this kernel has no ${kind} pages`);
    checkSegmentBytes(bytes, pageBytes);
    const fd = createMemfd(label, PAGE_FLAGS[kind] ?? 0);
    try {
      checked('fchmod', libc().fchmod(fd.raw, 0o600));
      checked('ftruncate', libc().ftruncate(fd.raw, bytes), `${bytes} B`);
      return fd;
    } catch (error) {
      fd.close();
      throw error;
    }
  }

  async populate(fd: OwnedFd, offset: number, bytes: number): Promise<void> {
    const args: [number, number, number] = [fd.raw, offset, bytes];
    await pooledErrno('posix_fallocate', libc().posix_fallocate, args, `${bytes} B at ${offset}`);
  }

  collapse(fd: OwnedFd, offset: number, bytes: number): Promise<CollapseOutcome> {
    return collapse(fd.raw, offset, bytes);
  }

  isCollapsed(fd: OwnedFd): Promise<boolean> {
    return isCollapsed(fd.raw, this.sizeOf(fd));
  }

  preferNode(fd: OwnedFd, node: number): 'preferred' | 'unsupported' {
    if (!canPreferNode(node)) return 'unsupported';
    try {
      preferNode(fd.raw, this.sizeOf(fd), node);
      return 'preferred';
    } catch {
      // It is a preference: a node without memory, or a sandbox that forbids the call, is no reason to have no segment.
      return 'unsupported';
    }
  }

  async discard(fd: OwnedFd, offset: number, bytes: number): Promise<void> {
    const mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
    const what = `punching a hole of ${bytes} B at ${offset}`;
    await pooled('fallocate', libc().fallocate, [fd.raw, mode, offset, bytes], what);
  }

  allocatedBytes(fd: OwnedFd): number {
    return fstatSync(fd.raw).blocks * STAT_BLOCK_BYTES;
  }

  keepResident(fd: OwnedFd): ResidentPart {
    return residentPart(fd.raw, this.sizeOf(fd));
  }

  seal(fd: OwnedFd): void {
    checked('fcntl', libc().fcntl(fd.raw, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL), 'F_ADD_SEALS');
  }

  openReadOnly(fd: OwnedFd): OwnedFd {
    return ownedFd('open', libc().open(`/proc/self/fd/${fd.raw}`, O_RDONLY | O_CLOEXEC, 0), 'read-only segment');
  }

  sizeOf(fd: OwnedFd): number {
    return fstatSync(fd.raw).size;
  }

  map(fd: OwnedFd, bytes: number, access: Access, kind: PageKind): MappedRange {
    // Mapped past its end, a segment kills whoever touches it.
    const segmentBytes = this.sizeOf(fd);
    if (bytes !== segmentBytes) throw new RangeError(`the segment has ${segmentBytes} B, not ${bytes} B`);
    return this.#ranges.map(fd.raw, bytes, access, kind);
  }
}

function createMemfd(label: string, pageFlags: number): LinuxFd {
  const flags = MFD_CLOEXEC | MFD_ALLOW_SEALING | pageFlags;
  const raw = libc().memfd_create(label, flags | MFD_NOEXEC_SEAL);
  // Kernels before 6.3 do not know MFD_NOEXEC_SEAL.
  if (raw < 0 && lastErrno() === EINVAL) return ownedFd('memfd_create', libc().memfd_create(label, flags), label);
  return ownedFd('memfd_create', raw, label);
}
