/** A kernel's pool of 2 MiB pages in files below a temporary root: what is written to `nr_hugepages` has the effect that Linux gives it. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { KernelPool } from '../kernel-pool.ts';

const FOLDER = 'sys/kernel/mm/hugepages/hugepages-2048kB';

export class FakeKernel {
  readonly pool: KernelPool;
  /** Every number that was written, in order. */
  readonly written: number[] = [];
  /** Pages that memory yields at most, all together. */
  pagesMax = Number.POSITIVE_INFINITY;
  /** So many changes are accepted and have no effect. */
  ignoredWrites = 0;
  /** Runs before each change; what it throws, the change throws. */
  onWrite: () => void = () => undefined;
  readonly #root: string;
  #persistent = 0;
  #surplus = 0;
  #used = 0;
  #reserved = 0;

  constructor(root: string, { availableBytes = 2 ** 40, bootId = 'this-boot' } = {}) {
    this.#root = root;
    for (const folder of [FOLDER, 'proc/sys/kernel/random', 'run']) mkdirSync(join(root, folder), { recursive: true });
    writeFileSync(join(root, 'proc/meminfo'), `MemAvailable:    ${availableBytes / 1024} kB\n`);
    writeFileSync(join(root, 'proc/sys/kernel/random/boot_id'), `${bootId}\n`);
    this.pool = new KernelPool(root, async (_path, text) => {
      // The kernel is somewhere else: nothing has changed when the call returns.
      await Promise.resolve();
      this.onWrite();
      this.written.push(Number(text));
      if (this.ignoredWrites > 0) this.ignoredWrites -= 1;
      else this.resize(Number(text));
    });
    this.set({});
  }

  /** As somebody else leaves it: pages that stay, and of all, those in use and those promised. */
  set({ persistent = 0, surplus = 0, used = 0, reserved = 0 }): void {
    [this.#persistent, this.#surplus, this.#used, this.#reserved] = [persistent, surplus, used, reserved];
    this.#publish();
  }

  get persistent(): number {
    return this.#persistent;
  }
  get surplus(): number {
    return this.#surplus;
  }

  /** `echo N > nr_hugepages`: surplus pages stay first, then pages are added; free pages go, and those in use become surplus. */
  resize(wanted: number): void {
    const kept = Math.min(this.#surplus, Math.max(0, wanted - this.#persistent));
    this.#surplus -= kept;
    this.#persistent += kept;
    const total = this.#persistent + this.#surplus;
    if (wanted > this.#persistent)
      this.#persistent += Math.max(0, Math.min(wanted - this.#persistent, this.pagesMax - total));
    const removable = Math.max(0, total - this.#used - this.#reserved);
    this.#persistent -= Math.min(removable, Math.max(0, this.#persistent - wanted));
    const inUse = Math.max(0, this.#persistent - wanted);
    this.#persistent -= inUse;
    this.#surplus += inUse;
    this.#publish();
  }

  #publish(): void {
    const total = this.#persistent + this.#surplus;
    const files = { nr: total, surplus: this.#surplus, free: total - this.#used, resv: this.#reserved };
    for (const [name, count] of Object.entries(files)) {
      writeFileSync(join(this.#root, FOLDER, `${name}_hugepages`), `${count}\n`);
    }
  }
}
