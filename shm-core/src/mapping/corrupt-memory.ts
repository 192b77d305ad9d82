/** Shared memory that does not say what it must. Only the mapping it is in is affected. */
export class CorruptMemoryError extends Error {
  override readonly name = 'CorruptMemoryError';
}
