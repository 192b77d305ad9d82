/** What shm-core throws, in the SDK's one error class. */
import { LeaseholdError } from '@leasehold/proto';
import { CorruptMemoryError, OsError } from '@leasehold/shm-core/internal';

/** EFAULT: what madvise(2) says of large pages that the pool does not have. */
const OUT_OF_MEMORY = new Set(['ENOMEM', 'ENOSPC', 'EMFILE', 'ENFILE', 'EFAULT']);

/** LeaseholdErrors as they are; anything that is none of ours too. */
export function asLeaseholdError(error: unknown): unknown {
  if (error instanceof CorruptMemoryError) {
    return new LeaseholdError('CORRUPT_MEMORY', `shared memory is not what was granted: ${error.message}`, {
      cause: error,
    });
  }
  if (error instanceof OsError) {
    const code = OUT_OF_MEMORY.has(error.code) ? 'OUT_OF_MEMORY' : 'INTERNAL';
    return new LeaseholdError(code, `the operating system refused: ${error.message}`, { cause: error });
  }
  return error;
}
