/** In which order things are measured. */

/** Another first one in every round, and backwards in every other one, so that none always follows the same one. */
export function orderOf<T>(all: readonly T[], round: number): readonly T[] {
  const start = Math.floor((round * all.length * STEP) % Math.max(1, all.length));
  const order = [...all.slice(start), ...all.slice(0, start)];
  return round % 2 === 0 ? order : order.reverse();
}

/** The golden section: however many rounds there are, their beginnings lie about evenly in the list. */
const STEP = (Math.sqrt(5) - 1) / 2;
