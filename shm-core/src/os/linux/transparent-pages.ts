/**
 * Transparent 2 MiB pages for shared memory. Invariant: that memory consists of them is never assumed, only read in smaps, because the
 * kernel may promise them and map small pages all the same.
 */
import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { CollapseOutcome } from '../os.ts';
import { reserveAligned } from './aligned-addresses.ts';
import { onPool, pooledErrno } from './asynchronous.ts';
import { checked, lastErrno, libc } from './libc.ts';
import { smapsFigure } from './smaps.ts';

/** Size of one transparent page, B. */
export const TRANSPARENT_PAGE_BYTES = 2 ** 21;

const PROT_READ = 1;
const PROT_WRITE = 2;
const MAP_SHARED = 0x1;
const MAP_FIXED = 0x10;
const MADV_POPULATE_READ = 22;
/** Since Linux 6.1; for shared memory it needs no `shmem_enabled`, except that `deny` forbids it. */
const MADV_COLLAPSE = 25;

/** A page that another CPU was just busy with; the next time it is not. */
const COLLAPSE_ATTEMPTS = 2;
const EINVAL = 22;

/** 2 MiB where the kernel can map shared memory by such pages, undefined elsewhere. `root` is the file system to read; tests pass a fixture. */
export function transparentPageBytes(root = '/'): number | undefined {
  const folder = join(root, 'sys/kernel/mm/transparent_hugepage');
  try {
    // With base pages of 64 KiB, as on some arm64 kernels, one such page has 512 MiB.
    if (Number(readFileSync(join(folder, 'hpage_pmd_size'), 'utf8')) !== TRANSPARENT_PAGE_BYTES) return undefined;
    return readFileSync(join(folder, 'shmem_enabled'), 'utf8').includes('[deny]') ? undefined : TRANSPARENT_PAGE_BYTES;
  } catch {
    return undefined;
  }
}

/**
 * Backs a part of a memfd by 2 MiB pages: a part of whole ones, of which nothing is populated yet. Off the event loop. Whatever the
 * outcome, the caller populates the part afterwards: where it is `collapsed`, nothing is left to do then.
 * @throws OsError (ENOMEM, ENOSPC) when there is no memory at all.
 */
export async function collapse(fd: number, offset: number, bytes: number): Promise<CollapseOutcome> {
  // The kernel collapses nothing that is wholly empty, and fills up what has one small page: far cheaper than copying 512 of them.
  for (let at = offset; at < offset + bytes; at += TRANSPARENT_PAGE_BYTES) {
    await pooledErrno('posix_fallocate', libc().posix_fallocate, [fd, at, 1], `1 B at ${at}`);
  }
  return onMapping({ fd, offset, bytes, protection: PROT_READ | PROT_WRITE }, async (address) => {
    for (let attempt = 0; attempt < COLLAPSE_ATTEMPTS; attempt += 1) {
      if ((await onPool(libc().madvise, [address, bytes, MADV_COLLAPSE])) >= 0) return 'collapsed';
    }
    if (whyNot(address) === 'fragmented') return 'fragmented';
    // A kernel without MADV_COLLAPSE may have given such pages at once.
    return (await isMappedByLargePages(address, bytes)) ? 'collapsed' : 'refused';
  });
}

/** Whether a new mapping of all of a populated memfd consists of 2 MiB pages and nothing else. */
export function isCollapsed(fd: number, bytes: number): Promise<boolean> {
  return onMapping({ fd, offset: 0, bytes, protection: PROT_READ }, (address) => isMappedByLargePages(address, bytes));
}

interface Part {
  readonly fd: number;
  readonly offset: number;
  readonly bytes: number;
  readonly protection: number;
}

async function onMapping<Result>(part: Part, use: (address: number) => Promise<Result>): Promise<Result> {
  const { fd, offset, bytes, protection } = part;
  const address = reserveAligned(bytes, TRANSPARENT_PAGE_BYTES);
  try {
    const mapped = libc().mmap(address, bytes, protection, MAP_SHARED | MAP_FIXED, fd, offset);
    checked('mmap', mapped, `${bytes} B at ${offset}`);
    return await use(address);
  } finally {
    checked('munmap', libc().munmap(address, bytes));
  }
}

/** The pool leaves no errno: the first page is tried again here. That it works now means that a later one did not. */
function whyNot(address: number): 'fragmented' | 'refused' {
  const result = libc().madvise(address, TRANSPARENT_PAGE_BYTES, MADV_COLLAPSE);
  return result < 0 && lastErrno() === EINVAL ? 'refused' : 'fragmented';
}

async function isMappedByLargePages(address: number, bytes: number): Promise<boolean> {
  try {
    await onPool(libc().madvise, [address, bytes, MADV_POPULATE_READ]);
    return smapsFigure(await readFile('/proc/self/smaps', 'utf8'), 'ShmemPmdMapped', address, bytes) === bytes;
  } catch {
    // A process may be forbidden to read even its own.
    return false;
  }
}
