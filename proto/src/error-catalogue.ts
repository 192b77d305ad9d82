/**
 * The one table of everything that can go wrong: reason → gRPC status, whether trying again can help, meaning, remedy.
 *
 * A reason is stable: once released it is never renamed and never changes its meaning. docs/ERRORS.md is generated from
 * here. "Retryable" says that the same call may succeed later although the caller changes nothing.
 */
import type { Code } from '../gen/google/rpc/code_pb.js';

/** A gRPC status by name; its number is `Code[name]` of google.rpc. */
export type GrpcStatusName = Exclude<keyof typeof Code, 'OK'>;

export interface ErrorCatalogueEntry {
  readonly status: GrpcStatusName;
  readonly retryable: boolean;
  readonly meaning: string;
  readonly whatToDo: string;
}

const entry = (
  status: GrpcStatusName,
  retry: 'retryable' | 'final',
  meaning: string,
  whatToDo: string,
): ErrorCatalogueEntry => ({ status, retryable: retry === 'retryable', meaning, whatToDo });

export const ERROR_CATALOGUE = {
  // What the caller asked for is wrong in itself.
  INVALID_NAME: entry(
    'INVALID_ARGUMENT',
    'final',
    'The name breaks the rules for names.',
    'Use 1 to 200 characters of A-Z a-z 0-9 . _ - in segments joined by /, with no empty, "." or ".." segment.',
  ),
  INVALID_SIZE: entry(
    'INVALID_ARGUMENT',
    'final',
    'A size is zero, negative, not a whole number, or larger than can be mapped.',
    'Give a size in bytes within the range that the message states.',
  ),
  INVALID_FORMAT: entry(
    'INVALID_ARGUMENT',
    'final',
    'A frame format contradicts itself or the size given with it.',
    'Make FourCC, width, height, stride and slot size agree.',
  ),
  INVALID_ARGUMENT: entry(
    'INVALID_ARGUMENT',
    'final',
    'A field of the request is missing or out of range.',
    'Correct the field that the message names.',
  ),
  PATH_TOO_LONG: entry(
    'INVALID_ARGUMENT',
    'final',
    'A socket path is longer than the 107 bytes that the operating system takes.',
    'Choose a shorter runtime directory.',
  ),
  UNSUPPORTED_VERSION: entry(
    'UNIMPLEMENTED',
    'final',
    'Client and broker, or client and mapping, do not share a protocol version.',
    'Bring both sides to releases with the same protocol version.',
  ),
  MALFORMED_MESSAGE: entry(
    'INVALID_ARGUMENT',
    'final',
    'A message could not be understood, or must not be sent at that point.',
    'Report it: one side does not speak the protocol.',
  ),

  // What was asked for is not there, or is there already.
  MAPPING_NOT_FOUND: entry(
    'NOT_FOUND',
    'final',
    'No mapping has this name or id.',
    'Create it first, or look for it with `leasehold ls`.',
  ),
  CHANNEL_NOT_FOUND: entry(
    'NOT_FOUND',
    'final',
    'No channel has this name.',
    'Create it first, or look for it with `leasehold ls`.',
  ),
  SESSION_NOT_FOUND: entry(
    'NOT_FOUND',
    'final',
    'No living session has this id.',
    'List sessions again: it has ended, or belongs to an earlier broker.',
  ),
  ATTACHMENT_NOT_FOUND: entry(
    'NOT_FOUND',
    'final',
    "The caller's session has no such attachment.",
    'Use an attachment id that this session was given and has not detached.',
  ),
  LEASE_NOT_FOUND: entry(
    'NOT_FOUND',
    'final',
    'Nobody holds or waits for a lease of this name, or the caller has none.',
    'Use the mapping id and hold id of a lease that this session was granted and has not released.',
  ),
  TICKET_INVALID: entry(
    'NOT_FOUND',
    'final',
    "The ticket is unknown, used, expired, or another session's.",
    'Attach again, and claim the new ticket before it expires.',
  ),
  MAPPING_EXISTS: entry(
    'ALREADY_EXISTS',
    'final',
    'A mapping or channel has this name already.',
    'Choose another name, delete the old one, or create with open-if-same.',
  ),
  CHANNEL_EXISTS: entry(
    'ALREADY_EXISTS',
    'final',
    'A channel or mapping has this name already.',
    'Choose another name, delete the old one, or create with open-if-same.',
  ),
  NOT_A_CHANNEL: entry(
    'FAILED_PRECONDITION',
    'final',
    'The name is that of a plain mapping.',
    'Use the mapping calls, or the name of a channel.',
  ),
  SPEC_MISMATCH: entry(
    'FAILED_PRECONDITION',
    'final',
    'What exists under this name was created with another specification.',
    'Open it as it is, or delete it and create it anew; the metadata says what differs.',
  ),
  PUBLISHER_EXISTS: entry(
    'FAILED_PRECONDITION',
    'retryable',
    'Another session publishes on this channel.',
    'Wait for it to close, or open as a standby.',
  ),
  LEASE_REQUIRED: entry(
    'FAILED_PRECONDITION',
    'final',
    'What was asked needs an exclusive lease of the mapping, and the caller has none.',
    'Take the lease first, and name it in the call.',
  ),
  MAPPING_DELETED: entry(
    'FAILED_PRECONDITION',
    'final',
    'The mapping was deleted while it was in use.',
    'Close what used it; create or attach again if it is still wanted.',
  ),

  // Who may.
  UNAUTHENTICATED: entry(
    'UNAUTHENTICATED',
    'final',
    'The call carries no token of a living session of this user.',
    'Open a session and send its token.',
  ),
  PERMISSION_DENIED: entry(
    'PERMISSION_DENIED',
    'final',
    'The policy of the broker does not allow this to the caller.',
    "Run as a user that the policy allows, or have the broker's owner change the policy.",
  ),

  // Not enough of something.
  QUOTA_EXCEEDED: entry(
    'RESOURCE_EXHAUSTED',
    'retryable',
    'A quota of the user or of the broker would be exceeded; the metadata says which (`quota`), whose (`whose`: `uid:1000`, `broker`), and how much is `used`, the `limit` and `requested`.',
    'Give back what is no longer needed, ask for less, or have the quota raised (`quotas.perUser`, `quotas.total`).',
  ),
  OUT_OF_MEMORY: entry(
    'RESOURCE_EXHAUSTED',
    'retryable',
    'The machine or the control group has not that much memory to spare.',
    'Free memory or ask for less; the metadata says how much there is.',
  ),
  LARGE_PAGES_UNAVAILABLE: entry(
    'RESOURCE_EXHAUSTED',
    'retryable',
    'Large pages were required and cannot be had.',
    'Reserve huge pages (vm.nr_hugepages), or let the page policy be auto.',
  ),
  MEMORY_NOT_LOCKABLE: entry(
    'RESOURCE_EXHAUSTED',
    'retryable',
    'The memory cannot be kept from being swapped out: the broker may not lock that much.',
    'Raise RLIMIT_MEMLOCK of the broker or give it CAP_IPC_LOCK, ask for large pages, or do without.',
  ),
  PARTICIPANTS_EXHAUSTED: entry(
    'RESOURCE_EXHAUSTED',
    'retryable',
    'Every participant index of the mapping is taken.',
    'Detach somebody, or create the mapping with more participants.',
  ),
  PINS_EXHAUSTED: entry(
    'RESOURCE_EXHAUSTED',
    'retryable',
    'The channel has too few slots for another subscriber with so many pins.',
    'Ask for fewer pins, or create the channel with more slots; the metadata has the numbers.',
  ),
  TOKENS_EXHAUSTED: entry(
    'RESOURCE_EXHAUSTED',
    'final',
    'The fencing tokens of this mapping or epoch are used up; they are never reused.',
    'Restart the broker; if the epochs are used up, delete the mapping and the state of the broker.',
  ),
  TOO_MANY_SESSIONS: entry(
    'RESOURCE_EXHAUSTED',
    'retryable',
    'The user, or the broker, has as many sessions or connections as are allowed; of a quota, the metadata are those of QUOTA_EXCEEDED.',
    'Close sessions that are not needed, or have the quota `sessions` raised.',
  ),
  FRAME_TOO_LARGE: entry(
    'INVALID_ARGUMENT',
    'final',
    'The payload does not fit in a slot of the channel.',
    'Publish less, or create the channel with larger slots.',
  ),
  NO_FREE_SLOT: entry(
    'RESOURCE_EXHAUSTED',
    'retryable',
    'Every slot is pinned, on loan or being written.',
    'Release frames or loans, or create the channel with more slots.',
  ),
  PINS_EXCEEDED: entry(
    'FAILED_PRECONDITION',
    'final',
    'The subscriber holds as many frames as it asked to be allowed.',
    'Release a frame before taking the next, or subscribe with more pins.',
  ),

  // What ended, and why.
  DRAINING: entry(
    'UNAVAILABLE',
    'retryable',
    'The broker is shutting down and takes nothing new.',
    'Connect again when it has restarted.',
  ),
  BROKER_UNREACHABLE: entry(
    'UNAVAILABLE',
    'retryable',
    'No broker answers on the sockets that were tried.',
    'Start one with `leasehold serve`, or say where it is.',
  ),
  BROKER_LOST: entry(
    'UNAVAILABLE',
    'retryable',
    'The connection to the broker broke; the session and its rights are over.',
    'Connect again; frames already held can still be read.',
  ),
  TIMED_OUT: entry(
    'DEADLINE_EXCEEDED',
    'retryable',
    'The time allowed for waiting is over.',
    'Try again, or allow more time.',
  ),
  LEASE_TIMEOUT: entry(
    'DEADLINE_EXCEEDED',
    'retryable',
    'The lease did not become free within the time allowed for waiting.',
    'Try again, or wait longer; `leasehold leases` shows who holds it and who waits.',
  ),
  LEASE_HELD: entry(
    'FAILED_PRECONDITION',
    'retryable',
    'The lease is held, or others wait for it, and the caller did not want to wait.',
    'Try again later, or allow time for waiting; `leasehold leases` shows who holds it.',
  ),
  ABORTED: entry('CANCELLED', 'final', 'The caller aborted the operation.', 'Nothing: it was asked for.'),
  CLOSED: entry('FAILED_PRECONDITION', 'final', 'The object was closed before this call.', 'Open a new one.'),
  INVALID_STATE: entry(
    'FAILED_PRECONDITION',
    'final',
    'The operation makes no sense now, for example publishing a loan twice.',
    'Correct the order of calls.',
  ),
  LEASE_LOST: entry(
    'FAILED_PRECONDITION',
    'final',
    'The lease ended before the operation; the metadata has the reason, for example EXPIRED or REVOKED.',
    'Acquire it again and look at what its next holder did.',
  ),
  SLOW_SUBSCRIBER: entry(
    'FAILED_PRECONDITION',
    'final',
    'The subscriber made the publisher wait for longer than the channel allows and was detached.',
    'Subscribe again, and take faster, in `latest` mode, or on a channel that overwrites.',
  ),
  VIEW_STOLEN: entry(
    'FAILED_PRECONDITION',
    'final',
    'The buffer of a view was transferred or detached by somebody other than Leasehold; its slot stays pinned.',
    'Do not transfer `bytes.buffer`; use `copy()` for data that must travel.',
  ),

  // What should not happen.
  CORRUPT_MEMORY: entry(
    'DATA_LOSS',
    'final',
    'Shared memory holds values that no correct party writes.',
    'Delete the mapping and find the writer that broke it.',
  ),
  UNSUPPORTED_PLATFORM: entry(
    'UNIMPLEMENTED',
    'final',
    'This operating system, kernel or runtime lacks something needed.',
    'See the requirements in the README.',
  ),
  INTERNAL: entry('INTERNAL', 'final', 'A defect in Leasehold.', 'Report it with the message and its cause.'),
} as const satisfies Record<string, ErrorCatalogueEntry>;

/** A stable reason. What programs branch on. */
export type ErrorCode = keyof typeof ERROR_CATALOGUE;

/** Whether a string from outside is a reason that this release knows. */
export function isErrorCode(reason: string): reason is ErrorCode {
  return Object.hasOwn(ERROR_CATALOGUE, reason);
}
