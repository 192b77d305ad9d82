/** Checks of what callers pass: wrong input is refused by name before anything happens, never replaced by a default. */
import { LeaseholdError } from '@leasehold/proto';
import type { ViewMode } from '@leasehold/shm-core/internal';

export const VIEW_MODES: readonly ViewMode[] = ['fenced', 'persistent'];

const UINT32_LIMIT = 2 ** 32;

/** @throws LeaseholdError INVALID_ARGUMENT. */
export function checkedChoice<T extends string>(what: string, value: T, allowed: readonly T[]): T {
  if (allowed.includes(value)) return value;
  throw new LeaseholdError(
    'INVALID_ARGUMENT',
    `${what} must be one of ${allowed.join(', ')}, not ${JSON.stringify(value)}`,
  );
}

/** A whole number of at least `min` that the protocol can carry. @throws LeaseholdError INVALID_ARGUMENT. */
export function checkedCount(what: string, value: number, min: number): number {
  if (Number.isInteger(value) && value >= min && value < UINT32_LIMIT) return value;
  throw new LeaseholdError('INVALID_ARGUMENT', `${what} must be a whole number of at least ${min}, not ${value}`);
}

/** As `checkedCount`; 0, which stands for the broker's default, when it was left out. */
export function optionalCount(what: string, value: number | undefined): number {
  return value === undefined ? 0 : checkedCount(what, value, 1);
}

/** A size as the protocol carries it; 0 when it was left out. @throws LeaseholdError INVALID_SIZE. */
export function checkedSize(what: string, value: number | undefined): bigint {
  if (value === undefined) return 0n;
  if (Number.isSafeInteger(value) && value > 0) return BigInt(value);
  throw new LeaseholdError('INVALID_SIZE', `${what} must be a whole number of bytes from 1 to 2^53 − 1, not ${value}`);
}
