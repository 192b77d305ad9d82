/** What the platform says when it has no memory, in the words of the error catalogue. */
import { LeaseholdError } from '@leasehold/proto';
import { LargePagesUnavailable, OsError } from '@leasehold/shm-core/internal';

/** Not only of our own calls: `node:fs` runs out of descriptors too. */
const NO_DESCRIPTORS = ['EMFILE', 'ENFILE', 'ETOOMANYREFS'];

/** QUOTA_EXCEEDED when the process or the machine has no descriptor left; null for anything else. */
export function noDescriptors(error: unknown): LeaseholdError | null {
  if (!(error instanceof Error && 'code' in error && NO_DESCRIPTORS.includes(String(error.code)))) return null;
  return new LeaseholdError('QUOTA_EXCEEDED', `The broker has no file descriptors left: ${error.message}.`, {
    metadata: { quota: 'descriptors', whose: 'broker', errno: String(error.code) },
    cause: error,
  });
}

const notLockable = (error: OsError): LeaseholdError =>
  new LeaseholdError(
    'MEMORY_NOT_LOCKABLE',
    `The memory cannot be kept from being swapped out: ${error.message}. The broker may not lock that much: raise its RLIMIT_MEMLOCK (LimitMEMLOCK= of a systemd unit), give it CAP_IPC_LOCK, or ask for large pages, which are never swapped.`,
    { metadata: systemCallOf(error), cause: error },
  );

const systemCallOf = (error: unknown) => (error instanceof OsError ? { call: error.call, errno: error.code } : {});

function refusedBySystem(error: OsError): LeaseholdError {
  if (error.call === 'mlock') return notLockable(error);
  const details = { metadata: systemCallOf(error), cause: error };
  return error.code === 'ENOMEM' || error.code === 'ENOSPC'
    ? new LeaseholdError('OUT_OF_MEMORY', `The machine has not that much memory: ${error.message}.`, details)
    : new LeaseholdError('INTERNAL', `Memory could not be made: ${error.message}.`, details);
}

/** A LeaseholdError as it is; anything unknown is INTERNAL. The original is the cause. */
export function memoryError(error: unknown): LeaseholdError {
  if (error instanceof LeaseholdError) return error;
  if (error instanceof LargePagesUnavailable) {
    return new LeaseholdError('LARGE_PAGES_UNAVAILABLE', error.message, {
      metadata: { reason: error.reason, neededPages: String(error.neededPages), ...systemCallOf(error.cause) },
      cause: error,
    });
  }
  const exhausted = noDescriptors(error);
  if (exhausted !== null) return exhausted;
  if (error instanceof OsError) return refusedBySystem(error);
  if (error instanceof RangeError) return new LeaseholdError('INVALID_SIZE', error.message, { cause: error });
  return new LeaseholdError('INTERNAL', 'Memory could not be made.', { cause: error });
}
