/**
 * The kernel's pool of 2 MiB pages as files of sysfs: counted, resized, and locked against other brokers. Invariants: the event loop
 * never waits for the kernel, which may compact memory for seconds; who changes the pool holds the lock from the count that the change
 * is made from to the change.
 */
import { readFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type OwnedFd, tryLockFile } from '@leasehold/shm-core/internal';
import { isErrno } from './files.ts';

export const POOL_PAGE_BYTES = 2 ** 21;

/** Another broker may be growing the pool, which takes as long as compaction does. */
const LOCK_ATTEMPTS = 1_200;
const LOCK_RETRY_MS = 25;

export interface PoolCounts {
  /** Pages that stay in the pool when they are free: what `nr_hugepages` sets. */
  readonly persistentPages: number;
  /** Pages that leave the pool as soon as they are free. */
  readonly surplusPages: number;
  readonly freePages: number;
  /** Promised and not taken yet: counted as free, too. */
  readonly reservedPages: number;
}

export type WriteText = (path: string, text: string) => Promise<void>;

export class KernelPool {
  readonly path: string;
  /** Locked by whoever changes the pool. */
  readonly lockPath: string;
  readonly #folder: string;
  readonly #root: string;
  readonly #write: WriteText;

  /** `write` replaces the kernel in tests. */
  constructor(root = '/', write: WriteText = writeInPlace) {
    this.#root = root;
    this.#folder = join(root, `sys/kernel/mm/hugepages/hugepages-${POOL_PAGE_BYTES / 1024}kB`);
    this.path = join(this.#folder, 'nr_hugepages');
    this.lockPath = join(root, 'run/leasehold-huge-pages.lock');
    this.#write = write;
  }

  /** Undefined when this kernel has no such pages. */
  counts(): PoolCounts | undefined {
    const count = (name: string) => Number(readFileSync(join(this.#folder, name), 'utf8'));
    try {
      const surplusPages = count('surplus_hugepages');
      return {
        persistentPages: count('nr_hugepages') - surplusPages,
        surplusPages,
        freePages: count('free_hugepages'),
        reservedPages: count('resv_hugepages'),
      };
    } catch (error) {
      if (isErrno(error, 'ENOENT')) return undefined;
      throw error;
    }
  }

  /** Memory that the machine could turn into pages, B. */
  availableBytes(): number {
    const text = readFileSync(join(this.#root, 'proc/meminfo'), 'utf8');
    return Number(/^MemAvailable:\s+(\d+) kB$/m.exec(text)?.[1] ?? 0) * 1024;
  }

  /** Differs after each start of the machine, which empties the pool. */
  bootId(): string {
    return readFileSync(join(this.#root, 'proc/sys/kernel/random/boot_id'), 'utf8').trim();
  }

  /** The kernel does what it can and reports success all the same: count afterwards. @throws Error with errno. */
  async resize(persistentPages: number): Promise<void> {
    await this.#write(this.path, `${persistentPages}\n`);
  }

  /**
   * The right to change the pool: a file of root's alone, where brokers meet that have nothing else in common. Whoever may only read
   * `nr_hugepages` could lock that for ever.
   * @throws OsError (EACCES, EROFS: no privilege); Error when it stays locked; AbortError.
   */
  async lock(signal?: AbortSignal): Promise<OwnedFd> {
    for (let attempt = 0; attempt < LOCK_ATTEMPTS; attempt++) {
      const lock = this.#tryLock();
      if (lock !== null) return lock;
      await delay(LOCK_RETRY_MS, undefined, { signal });
    }
    throw new Error(
      `${this.lockPath} stayed locked for ${(LOCK_ATTEMPTS * LOCK_RETRY_MS) / 1000} s by another process`,
    );
  }

  #tryLock(): OwnedFd | null {
    try {
      return tryLockFile(this.lockPath);
    } catch {
      // A system without a /run that can be written. Or a user who may not change the pool, whom this refuses, too.
      return tryLockFile(this.path);
    }
  }
}

/** What `writeFile` does, without making or emptying the file. */
async function writeInPlace(path: string, text: string): Promise<void> {
  const file = await open(path, 'r+');
  try {
    await file.write(text, 0);
  } finally {
    await file.close();
  }
}
