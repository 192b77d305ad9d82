/**
 * Which words several participants can tell anything by. A step on any other word (nobody else ever touches it, or nobody ever writes
 * it) changes nothing for anybody: it commutes with all that the others do, and needs no place of its own in the order of steps. What is
 * not yet known to be shared is found while exploring; then everything is explored again from the start, until nothing new is found.
 */
import type { Operation } from './operations.ts';

export class Sharing {
  readonly #touched = new Map<number, number>();
  readonly #written = new Set<number>();
  readonly #shared = new Set<number>();
  readonly #everything: boolean;
  /** Whether a word was found to be shared since this was last set to false. */
  grew = false;

  /** `everything`: every operation is a step, as for a replay. */
  constructor(options: { everything: boolean }) {
    this.#everything = options.everything;
  }

  /** In the order in which they were found. */
  get words(): readonly number[] {
    return [...this.#shared];
  }

  isShared(address: number): boolean {
    return this.#everything || this.#shared.has(address);
  }

  share(address: number): void {
    if (this.#shared.has(address)) return;
    this.#shared.add(address);
    this.grew = true;
  }

  /** Notes who touches the operation's words. @returns whether the operation is a step of its own */
  note(operation: Operation, participant: number): boolean {
    let step = operation.visible || this.#everything;
    for (const address of operation.words) {
      const touched = (this.#touched.get(address) ?? 0) | (1 << participant);
      this.#touched.set(address, touched);
      if (operation.writes) this.#written.add(address);
      const byOthers = (touched & (touched - 1)) !== 0 && this.#written.has(address);
      if (byOthers || operation.visible || operation.words.length > 1) this.share(address);
      if (this.#shared.has(address)) step = true;
    }
    return step;
  }
}
