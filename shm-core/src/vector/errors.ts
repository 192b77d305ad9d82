/** What can be wrong with a vector: it is full, or the memory does not hold one. */

/** There is no room for what was to be added. Nothing was changed. */
export class CapacityError extends Error {
  override readonly name = 'CapacityError';
  /** Records that there should have been room for. */
  readonly needed: number;
  /** Records that there is room for. */
  readonly capacity: number;

  constructor(needed: number, capacity: number, advice: string) {
    super(`the vector has room for ${capacity} records, not for ${needed}: ${advice}`);
    this.needed = needed;
    this.capacity = capacity;
  }
}

/** The memory does not hold a vector of these records, or no longer says what it must. */
export class InvalidVectorError extends Error {
  override readonly name = 'InvalidVectorError';
}
