/**
 * The exit codes that scripts depend on, and the one table from reasons to them. A reason that is missing here does not compile.
 */
import type { ErrorCode } from '@leasehold/client';
import type { StopSignal } from './context.ts';

export const ExitCode = {
  done: 0,
  failed: 1,
  wrongUsage: 2,
  brokerUnreachable: 3,
  denied: 4,
  notFound: 5,
  timedOut: 6,
  /** 128 + SIGHUP. */
  hungUp: 129,
  /** 128 + SIGINT. */
  interrupted: 130,
  /** 128 + SIGTERM. */
  terminated: 143,
} as const;
export type ExitCode = (typeof ExitCode)[keyof typeof ExitCode];

export const EXIT_CODE_OF_SIGNAL: Readonly<Record<StopSignal, ExitCode>> = {
  SIGHUP: ExitCode.hungUp,
  SIGINT: ExitCode.interrupted,
  SIGTERM: ExitCode.terminated,
};

const { failed, wrongUsage, brokerUnreachable, denied, notFound, timedOut } = ExitCode;

export const EXIT_CODE_OF_REASON: Readonly<Record<ErrorCode, ExitCode>> = {
  INVALID_NAME: wrongUsage,
  INVALID_SIZE: wrongUsage,
  INVALID_FORMAT: wrongUsage,
  INVALID_ARGUMENT: wrongUsage,
  PATH_TOO_LONG: wrongUsage,
  UNSUPPORTED_VERSION: failed,
  MALFORMED_MESSAGE: failed,
  MAPPING_NOT_FOUND: notFound,
  CHANNEL_NOT_FOUND: notFound,
  SESSION_NOT_FOUND: notFound,
  ATTACHMENT_NOT_FOUND: notFound,
  LEASE_NOT_FOUND: notFound,
  TICKET_INVALID: failed,
  MAPPING_EXISTS: failed,
  CHANNEL_EXISTS: failed,
  NOT_A_CHANNEL: failed,
  SPEC_MISMATCH: failed,
  PUBLISHER_EXISTS: failed,
  LEASE_REQUIRED: failed,
  MAPPING_DELETED: failed,
  UNAUTHENTICATED: denied,
  PERMISSION_DENIED: denied,
  QUOTA_EXCEEDED: failed,
  OUT_OF_MEMORY: failed,
  LARGE_PAGES_UNAVAILABLE: failed,
  MEMORY_NOT_LOCKABLE: failed,
  PARTICIPANTS_EXHAUSTED: failed,
  PINS_EXHAUSTED: failed,
  TOKENS_EXHAUSTED: failed,
  TOO_MANY_SESSIONS: failed,
  FRAME_TOO_LARGE: failed,
  NO_FREE_SLOT: failed,
  PINS_EXCEEDED: failed,
  DRAINING: brokerUnreachable,
  BROKER_UNREACHABLE: brokerUnreachable,
  BROKER_LOST: brokerUnreachable,
  TIMED_OUT: timedOut,
  LEASE_TIMEOUT: timedOut,
  LEASE_HELD: timedOut,
  ABORTED: failed,
  CLOSED: failed,
  INVALID_STATE: failed,
  LEASE_LOST: failed,
  SLOW_SUBSCRIBER: failed,
  VIEW_STOLEN: failed,
  CORRUPT_MEMORY: failed,
  UNSUPPORTED_PLATFORM: failed,
  INTERNAL: failed,
};
