/** Random numbers that a seed repeats. A test prints its seed; LEASEHOLD_SEED runs that one again. */

export const newSeed = (): number => Number(process.env.LEASEHOLD_SEED ?? Math.floor(Math.random() * 2 ** 31));

/** Mulberry32: below 1, from 0. */
export function randomOf(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
