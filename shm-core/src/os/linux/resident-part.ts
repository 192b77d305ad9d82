/**
 * Memory that is never swapped out, by mlock(2) on a mapping of our own. Invariants: mapped read-only and never viewed; what is locked is
 * always a part from the start of the segment, and populated.
 */
import type { ResidentPart } from '../os.ts';
import { onPool, pooled } from './asynchronous.ts';
import { checked, libc } from './libc.ts';

const PROT_READ = 1;
const MAP_SHARED = 0x1;
const MAP_NORESERVE = 0x4000;

/** Maps the segment behind `fd`, `bytes` long. @throws OsError. */
export function residentPart(fd: number, bytes: number): ResidentPart {
  const flags = MAP_SHARED | MAP_NORESERVE;
  return new LockedRange(checked('mmap', libc().mmap(0, bytes, PROT_READ, flags, fd, 0), `${bytes} B`), bytes);
}

class LockedRange implements ResidentPart {
  readonly #address: number;
  readonly #bytes: number;
  #lockedBytes = 0;
  #released = false;

  constructor(address: number, bytes: number) {
    this.#address = address;
    this.#bytes = bytes;
  }

  async extendTo(bytes: number): Promise<void> {
    const more = bytes - this.#lockedBytes;
    if (more <= 0) return;
    const part: [number, number] = [this.#address + this.#lockedBytes, more];
    try {
      await pooled('mlock', libc().mlock, part, `${more} B`);
    } catch (error) {
      // A range that could not be brought into memory is marked as locked all the same, and counts.
      await onPool(libc().munlock, part);
      throw error;
    }
    this.#lockedBytes = bytes;
  }

  async reduceTo(bytes: number): Promise<void> {
    const less = this.#lockedBytes - bytes;
    if (less <= 0) return;
    await pooled('munlock', libc().munlock, [this.#address + bytes, less], `${less} B`);
    this.#lockedBytes = bytes;
  }

  async release(): Promise<void> {
    if (this.#released) return;
    this.#released = true;
    await pooled('munmap', libc().munmap, [this.#address, this.#bytes], `${this.#bytes} B`);
  }
}
