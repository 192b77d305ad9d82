/**
 * The part of the kernel's pool of 2 MiB pages that this broker answers for: it adds what lacks for `reserveBytes`, and gives back
 * exactly what it added. Invariants: what could not be had is a warning with what to do, never a reason not to serve; pages of others
 * are never taken away, in doubt ours stay; one broker at a time looks after the debts of a state directory.
 */
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type OwnedFd, tryLockFile } from '@leasehold/shm-core/internal';
import type { Logger } from 'pino';
import { type HugePageDebt, owedPages, readDebt, storeDebt } from './huge-page-debt.ts';
import { type Growth, growPool, lackingPages, shortfallAdvice } from './huge-page-growth.ts';
import { KernelPool, POOL_PAGE_BYTES, type PoolCounts } from './kernel-pool.ts';

/** Mappings of the broker and of its clients are freed by threads; a pool that cannot shrink yet is asked again. */
const GIVE_BACK_ATTEMPTS = 40;
const GIVE_BACK_RETRY_MS = 50;

export interface HugePagePoolOptions {
  /** What is to be free and promised to nobody when the broker begins, B; rounded up to whole pages. 0: nothing is added. */
  readonly reserveBytes: number;
  /** There already; where the next broker learns what this one did not give back. */
  readonly stateDir: string;
  readonly logger: Logger;
  /** Ends the growing early. */
  readonly signal?: AbortSignal;
  /** For tests. */
  readonly kernel?: KernelPool;
}

export interface HugePagePool {
  /** Pages of the kernel's pool that are to be given back, those of brokers before included. */
  readonly addedPages: number;
  /** Gives them back. After the mappings are closed: pages in use go when they are freed. Idempotent; never rejects. */
  close(): Promise<void>;
}

/** Adds what lacks. Never rejects: what stood in the way is in the log. */
export async function openHugePagePool(options: HugePagePoolOptions): Promise<HugePagePool> {
  const pool = new Pool(options);
  await pool.open();
  return pool;
}

class Pool implements HugePagePool {
  readonly #options: HugePagePoolOptions;
  readonly #kernel: KernelPool;
  readonly #logger: Logger;
  /** Held from the first look at the debt to the last. */
  #ownership: OwnedFd | null = null;
  /** As it is on the disk. */
  #debt: HugePageDebt | null = null;
  #closing: Promise<void> | null = null;

  constructor(options: HugePagePoolOptions) {
    this.#options = options;
    this.#kernel = options.kernel ?? new KernelPool();
    this.#logger = options.logger.child({ component: 'huge-pages' });
  }

  get addedPages(): number {
    return this.#debt?.addedPages ?? 0;
  }

  async open(): Promise<void> {
    const { reserveBytes, stateDir } = this.#options;
    const wantedPages = Math.ceil(reserveBytes / POOL_PAGE_BYTES);
    try {
      if (this.#kernel.counts() === undefined) {
        if (wantedPages > 0) this.#logger.warn({ reserveBytes }, 'this kernel has no 2 MiB pages: none are reserved');
        return;
      }
      this.#ownership = tryLockFile(join(stateDir, 'huge-pages.lock'));
      if (this.#ownership !== null) {
        this.#takeOver();
        if (wantedPages > 0) await this.#reserve(wantedPages);
      } else if (wantedPages > 0) {
        this.#logger.warn({ stateDir }, 'another broker with this state directory looks after the huge pages');
      }
    } catch (err) {
      if (wantedPages === 0) this.#logger.info({ err }, 'the pool of huge pages cannot be looked at');
      else this.#logger.warn({ err, reserveBytes, hint: this.#byHand(wantedPages) }, 'huge pages cannot be reserved');
    }
  }

  /** The debt of a broker that was killed becomes ours. */
  #takeOver(): void {
    const found = this.#readDebt();
    if (found === null) return;
    const addedPages = this.#owed(found);
    this.#store(addedPages === 0 ? null : { ...found, addedPages, adding: false });
    if (addedPages > 0)
      this.#logger.info({ addedPages }, 'a broker before left huge pages: they are given back at the end');
    else this.#logger.info({ found }, 'the huge pages that a broker before had added are not there any more');
  }

  #readDebt(): HugePageDebt | null {
    try {
      return readDebt(this.#options.stateDir);
    } catch (err) {
      this.#logger.warn({ err }, 'the record of the huge pages that a broker before had added is of no use');
      return null;
    }
  }

  async #reserve(wantedPages: number): Promise<void> {
    if (lackingPages(this.#counts(), wantedPages) === 0) {
      this.#logger.info({ wantedPages, ...this.#counts() }, 'enough huge pages are free already');
      return;
    }
    const lock = await this.#kernel.lock(this.#options.signal);
    try {
      // Whoever had the lock before may have changed the pool.
      const before = this.#counts();
      const askedPages = lackingPages(before, wantedPages);
      if (askedPages > 0) this.#report(await this.#grow(before, askedPages), askedPages, wantedPages);
    } finally {
      lock.close();
    }
  }

  /** IMPORTANT: the intention is on the disk before the first page is asked for, or a broker killed in between would leave pages that nobody knows of. */
  async #grow(before: PoolCounts, askedPages: number): Promise<Growth> {
    const intended: HugePageDebt = {
      bootId: this.#kernel.bootId(),
      othersPages: before.persistentPages - this.addedPages,
      // Surplus pages of others become permanent before the kernel adds any, and are given back with the rest.
      addedPages: this.addedPages + before.surplusPages + askedPages,
      adding: true,
    };
    this.#store(intended);
    try {
      return await growPool(this.#kernel, before, askedPages, this.#options.signal);
    } finally {
      const addedPages = this.#owed(intended);
      this.#store(addedPages === 0 ? null : { ...intended, addedPages, adding: false });
    }
  }

  #report(growth: Growth, askedPages: number, wantedPages: number): void {
    const figures = { askedPages, ...growth, ...this.#counts() };
    if (growth.limitedBy === null) this.#logger.info(figures, 'huge pages are reserved');
    else
      this.#logger.warn({ ...figures, hint: shortfallAdvice(growth, wantedPages) }, 'fewer huge pages than asked for');
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    try {
      if (this.#debt !== null) await this.#giveBack(this.#debt);
    } catch (err) {
      this.#logger.warn(
        { err, addedPages: this.addedPages },
        'huge pages are not given back: the next broker will do it',
      );
    } finally {
      this.#ownership?.close();
    }
  }

  async #giveBack(debt: HugePageDebt): Promise<void> {
    const lock = await this.#kernel.lock();
    try {
      const counts = this.#counts();
      const owedPages = this.#owed(debt);
      if (owedPages === 0) {
        this.#store(null);
        this.#logger.warn({ debt, ...counts }, 'somebody else has set the pool of huge pages since: it stays as it is');
        return;
      }
      const othersPages = counts.persistentPages - owedPages;
      // Of others there may be more now; a broker that dies in the next moments must not leave a record that counts those as its own.
      this.#store({ ...debt, othersPages, addedPages: owedPages });
      const leftPages = await this.#shrinkTo(othersPages);
      this.#store(leftPages === 0 ? null : { ...debt, othersPages, addedPages: leftPages });
      const figures = { gaveBackPages: owedPages - leftPages, ...this.#counts() };
      if (leftPages === 0) this.#logger.info(figures, 'huge pages are given back: those in use go when they are freed');
      else
        this.#logger.warn({ ...figures, leftPages }, 'huge pages are left over: the next broker will give them back');
    } finally {
      lock.close();
    }
  }

  /** How many pages too many there still are. Pages in use become surplus, which leaves the pool when it is freed. */
  async #shrinkTo(othersPages: number): Promise<number> {
    for (let attempt = 1; ; attempt++) {
      await this.#kernel.resize(othersPages);
      const leftPages = Math.max(0, this.#counts().persistentPages - othersPages);
      if (leftPages === 0 || attempt === GIVE_BACK_ATTEMPTS) return leftPages;
      await delay(GIVE_BACK_RETRY_MS);
    }
  }

  #owed(debt: HugePageDebt): number {
    return owedPages(debt, this.#kernel.bootId(), this.#counts());
  }

  #store(debt: HugePageDebt | null): void {
    storeDebt(this.#options.stateDir, debt);
    this.#debt = debt;
  }

  #counts(): PoolCounts {
    const counts = this.#kernel.counts();
    if (counts === undefined) throw new Error(`${this.#kernel.path} is not there any more`);
    return counts;
  }

  /** What somebody who may do it has to run. Never throws: it is for when something else has gone wrong. */
  #byHand(wantedPages: number): string {
    try {
      const counts = this.#counts();
      return `run as root: sysctl vm.nr_hugepages=${counts.persistentPages + lackingPages(counts, wantedPages)}`;
    } catch (error) {
      return `look at ${this.#kernel.path}: ${String(error)}`;
    }
  }
}
