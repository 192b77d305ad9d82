/** Numbers that look random and come again with the same seed. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = Math.imul(seed, 0x9e37_79b1) >>> 0;
  }

  /** 0 ≤ x < 1 (mulberry32). */
  next(): number {
    this.#state = (this.#state + 0x6d2b_79f5) >>> 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }
  below(limit: number): number {
    return Math.floor(this.next() * limit);
  }
  chance(probability: number): boolean {
    return this.next() < probability;
  }
  pick<T>(choices: readonly T[]): T | undefined {
    return choices[this.below(choices.length)];
  }
  /** One of them, as often as its weight says. */
  weighted<T>(choices: readonly { readonly weight: number; readonly choice: T }[]): T | undefined {
    let left = this.next() * choices.reduce((sum, { weight }) => sum + weight, 0);
    for (const { weight, choice } of choices) {
      left -= weight;
      if (left < 0) return choice;
    }
    return choices.at(-1)?.choice;
  }
}
