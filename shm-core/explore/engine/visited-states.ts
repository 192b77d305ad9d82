/**
 * Which states were explored, and with how many preemptions left. Of a state 64 bits of hash are kept: two among 10^7 are taken for one
 * with a chance of about 3 in 10^6, and then something may stay unexplored; nothing is ever reported that is not so.
 */

const FIRST_CAPACITY = 2 ** 16;

export class VisitedStates {
  #low = new Int32Array(FIRST_CAPACITY);
  #high = new Int32Array(FIRST_CAPACITY);
  /** Preemptions left, + 1; 0 = empty. */
  #left = new Uint8Array(FIRST_CAPACITY);
  size = 0;

  /** @returns false when the state was explored with no fewer preemptions left. */
  enter(low: number, high: number, preemptionsLeft: number): boolean {
    if (this.size * 2 > this.#left.length) this.#grow();
    const at = this.#find(low, high);
    const before = this.#left[at] ?? 0;
    if (before > preemptionsLeft) return false;
    if (before === 0) this.size += 1;
    this.#low[at] = low;
    this.#high[at] = high;
    this.#left[at] = preemptionsLeft + 1;
    return true;
  }

  #find(low: number, high: number): number {
    const mask = this.#left.length - 1;
    let at = low & mask;
    while (this.#left[at] !== 0 && (this.#low[at] !== low || this.#high[at] !== high)) at = (at + 1) & mask;
    return at;
  }

  #grow(): void {
    const [low, high, left] = [this.#low, this.#high, this.#left];
    this.#low = new Int32Array(low.length * 2);
    this.#high = new Int32Array(low.length * 2);
    this.#left = new Uint8Array(low.length * 2);
    for (let i = 0; i < left.length; i += 1) {
      if (left[i] === 0) continue;
      const at = this.#find(low[i] ?? 0, high[i] ?? 0);
      this.#low[at] = low[i] ?? 0;
      this.#high[at] = high[i] ?? 0;
      this.#left[at] = left[i] ?? 0;
    }
  }
}
