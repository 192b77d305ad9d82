/**
 * Addresses that nobody uses any more. Invariant: memory that was ever viewed from JavaScript never becomes unmapped, so that no dangling
 * pointer (a view that outlived its owner, a thread-pool task in a library) can fault: private zeroed memory is mapped over it, and
 * the addresses serve the next mapping of the same length and kind, the longest unused first.
 */
import { checked, lastErrno, libc, osError } from './libc.ts';

const PROT_READ = 1;
const PROT_WRITE = 2;
const MAP_PRIVATE = 0x2;
const MAP_FIXED = 0x10;
const MAP_ANONYMOUS = 0x20;
const MAP_NORESERVE = 0x4000;
const MAP_FIXED_NOREPLACE = 0x100000;

const READ_WRITE = PROT_READ | PROT_WRITE;
const PLACEHOLDER = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;

/** Where something is mapped. `pool`: which others may have the addresses next, by length and kind; null: nobody. */
export interface Place {
  readonly address: number;
  readonly bytes: number;
  readonly pool: string | null;
}

export class IdleAddresses {
  readonly #idle = new Map<string, number[]>();
  /** Still what they were, because the system would not map anything over them. */
  readonly #uncovered: Place[] = [];

  /** Undefined when there are none of that length and kind. */
  take(pool: string): number | undefined {
    this.#coverLate();
    return this.#idle.get(pool)?.shift();
  }

  /** Maps over addresses that were taken: `map` is the system call, with MAP_FIXED. @throws OsError; they are idle again then. */
  mapOver(place: Place, map: () => number): number {
    const { address, bytes } = place;
    if (map() >= 0) return address;
    const error = osError('mmap', lastErrno(), `${bytes} B`);
    // Depending on the kernel, a failed MAP_FIXED has left a hole or the placeholder. Fill a hole, but never over what another
    // thread may have mapped there in the meantime. If it is no longer ours to judge, the address is not used again.
    const refilled = libc().mmap(address, bytes, READ_WRITE, PLACEHOLDER | MAP_FIXED_NOREPLACE, -1, 0);
    if (refilled === address) this.#keep(place);
    throw error;
  }

  /** @throws OsError; what was viewed is tried again with the next mapping. */
  giveUp(place: Place, viewed: boolean): void {
    if (viewed) this.#cover(place);
    else checked('munmap', libc().munmap(place.address, place.bytes), `${place.bytes} B`);
  }

  #cover(place: Place): void {
    const { address, bytes } = place;
    if (libc().mmap(address, bytes, READ_WRITE, PLACEHOLDER | MAP_FIXED, -1, 0) < 0) {
      const error = osError('mmap', lastErrno(), `placeholder of ${bytes} B`);
      this.#uncovered.push(place);
      throw error;
    }
    this.#keep(place);
  }

  /** What could not be covered is tried again; what fails once more has its next chance with the next map. */
  #coverLate(): void {
    for (const place of this.#uncovered.splice(0)) {
      try {
        this.#cover(place);
      } catch {
        // It was told when it was given up.
      }
    }
  }

  #keep({ address, pool }: Place): void {
    if (pool === null) return;
    const idle = this.#idle.get(pool);
    if (idle === undefined) this.#idle.set(pool, [address]);
    else idle.push(address);
  }
}
