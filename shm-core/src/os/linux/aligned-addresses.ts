/** Address ranges that begin where a large page may begin. Whoever reserves one maps over it or unmaps it. */
import { checked, libc } from './libc.ts';

const PROT_NONE = 0;
const MAP_PRIVATE = 0x2;
const MAP_ANONYMOUS = 0x20;
const MAP_NORESERVE = 0x4000;

/** Addresses for `bytes`, a multiple of the page size, that begin at a multiple of `alignment`. No access yet. @throws OsError (ENOMEM). */
export function reserveAligned(bytes: number, alignment: number): number {
  const flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
  const begin = checked('mmap', libc().mmap(0, bytes + alignment, PROT_NONE, flags, -1, 0), `${bytes} B of addresses`);
  const address = Math.ceil(begin / alignment) * alignment;
  const before = address - begin;
  if (before > 0) checked('munmap', libc().munmap(begin, before));
  if (before < alignment) checked('munmap', libc().munmap(address + bytes, alignment - before));
  return address;
}
