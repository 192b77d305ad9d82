/** How many connections stand, in all and of each user. Invariant: what was added is removed exactly once. */

export class ConnectionCounts {
  readonly #ofUid = new Map<number, number>();
  #total = 0;

  get total(): number {
    return this.#total;
  }

  of(uid: number): number {
    return this.#ofUid.get(uid) ?? 0;
  }

  /** @returns how to take it back; further calls do nothing */
  add(uid: number): () => void {
    this.#total += 1;
    this.#ofUid.set(uid, this.of(uid) + 1);
    let counted = true;
    return () => {
      if (!counted) return;
      counted = false;
      this.#total -= 1;
      const left = this.of(uid) - 1;
      if (left > 0) this.#ofUid.set(uid, left);
      else this.#ofUid.delete(uid);
    };
  }
}
