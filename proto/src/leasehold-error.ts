/**
 * The one error class of every package. Its `code` is a reason of the catalogue and is what callers branch on; the
 * message is for people and may change.
 */
import { ERROR_CATALOGUE, type ErrorCode } from './error-catalogue.ts';

export interface LeaseholdErrorOptions {
  /** Facts for programs, for example the name or the numbers concerned. Copied. */
  readonly metadata?: Readonly<Record<string, string>>;
  /** What was caught, kept as it is. */
  readonly cause?: unknown;
}

export class LeaseholdError extends Error {
  override readonly name = 'LeaseholdError';
  readonly code: ErrorCode;
  /** Whether the same call may succeed later although the caller changes nothing. */
  readonly retryable: boolean;
  readonly metadata: Readonly<Record<string, string>>;

  constructor(code: ErrorCode, message: string, options: LeaseholdErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.retryable = ERROR_CATALOGUE[code].retryable;
    this.metadata = Object.freeze({ ...options.metadata });
  }
}
