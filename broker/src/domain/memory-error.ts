/** What the platform says when it has no memory, in the words of the error catalogue. */
import { LeaseholdError } from '@leasehold/proto';
import { LargePagesUnavailable, OsError } from '@leasehold/shm-core/internal';

/** A LeaseholdError as it is; anything unknown is INTERNAL. The original is the cause. */
export function memoryError(error: unknown): LeaseholdError {
  if (error instanceof LeaseholdError) return error;
  if (error instanceof LargePagesUnavailable) {
    return new LeaseholdError('LARGE_PAGES_UNAVAILABLE', error.message, {
      metadata: { reason: error.reason, neededPages: String(error.neededPages) },
      cause: error,
    });
  }
  if (error instanceof OsError) {
    switch (error.code) {
      case 'ENOMEM':
      case 'ENOSPC':
        return new LeaseholdError('OUT_OF_MEMORY', `The machine has not that much memory: ${error.message}.`, {
          cause: error,
        });
      case 'EMFILE':
      case 'ENFILE':
        return new LeaseholdError('QUOTA_EXCEEDED', `The broker has no file descriptors left: ${error.message}.`, {
          cause: error,
        });
    }
  }
  if (error instanceof RangeError) return new LeaseholdError('INVALID_SIZE', error.message, { cause: error });
  return new LeaseholdError('INTERNAL', 'Memory could not be made.', { cause: error });
}
