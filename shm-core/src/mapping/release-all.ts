/** Giving several things back. Invariant: one that cannot be given back keeps none of the others. */

/** @throws what was thrown first, when all have been tried. */
export function releaseAll(releases: Iterable<() => void>): void {
  const failures: unknown[] = [];
  for (const release of releases) {
    try {
      release();
    } catch (error) {
      failures.push(error);
    }
  }
  if (failures.length > 0) throw failures[0];
}
