/**
 * LeaseholdError ↔ gRPC status. The reason travels as google.rpc.ErrorInfo inside a google.rpc.Status in the trailer
 * `grpc-status-details-bin`, which clients in every language know how to read; a quota that is exceeded also as google.rpc.QuotaFailure.
 *
 * Both directions are bounded: trailers stay below the 8 KiB that other implementations accept, and what a peer sends is
 * checked before it is believed.
 */
import { create, type DescMessage, fromBinary, type MessageShape, toBinary } from '@bufbuild/protobuf';
import { type Any, anyPack, anyUnpack } from '@bufbuild/protobuf/wkt';
import * as grpc from '@grpc/grpc-js';
import { Code } from '../gen/google/rpc/code_pb.js';
import { BadRequestSchema, ErrorInfoSchema, QuotaFailureSchema } from '../gen/google/rpc/error_details_pb.js';
import { StatusSchema } from '../gen/google/rpc/status_pb.js';
import { ERROR_CATALOGUE, type ErrorCode, type GrpcStatusName, isErrorCode } from './error-catalogue.ts';
import { LeaseholdError } from './leasehold-error.ts';

export const ERROR_DOMAIN = 'leasehold';

const DETAILS_TRAILER = 'grpc-status-details-bin';
// Together below 8 KiB on the wire: details grow by a third in base64, and the message, sent twice, threefold in `%` escapes.
const DETAILS_BYTES_MAX = 3500;
const DETAILS_RECEIVED_BYTES_MAX = 16_384;
const MESSAGE_BYTES_MAX = 1000;
const METADATA_BYTES_MAX = 2048;
const METADATA_KEY = /^[A-Za-z][A-Za-z0-9_.-]{0,63}$/;
const FIELD_BYTES_MAX = 256;
const VIOLATIONS_MAX = 8;

/** Further details that a status may carry. */
export interface StatusExtras {
  readonly badRequest?: readonly { readonly field: string; readonly description: string }[];
  readonly quotaFailure?: readonly { readonly subject: string; readonly description: string }[];
}

/** What a grpc-js handler hands to its callback, or emits as 'error' on its stream. */
export interface StatusError extends Error {
  readonly code: grpc.status;
  readonly details: string;
  readonly metadata: grpc.Metadata;
}

/** What a status without our ErrorInfo means: from a proxy, from grpc-js itself, or from an older broker. */
const CODE_OF_BARE_STATUS: Partial<Record<GrpcStatusName, ErrorCode>> = {
  // A caller's own abort never gets here: the broker dropped its calls, as it does when it ends.
  CANCELLED: 'BROKER_LOST',
  DEADLINE_EXCEEDED: 'TIMED_OUT',
  FAILED_PRECONDITION: 'INVALID_STATE',
  INVALID_ARGUMENT: 'INVALID_ARGUMENT',
  PERMISSION_DENIED: 'PERMISSION_DENIED',
  UNAUTHENTICATED: 'UNAUTHENTICATED',
  UNAVAILABLE: 'BROKER_LOST',
  UNIMPLEMENTED: 'UNSUPPORTED_VERSION',
};

/** `extras` beside what the error's own metadata say. */
export function toServiceError(error: LeaseholdError, extras: StatusExtras = {}): StatusError {
  const code = Code[ERROR_CATALOGUE[error.code].status];
  const message = bounded(error.message, MESSAGE_BYTES_MAX);
  const info = create(ErrorInfoSchema, {
    reason: error.code,
    domain: ERROR_DOMAIN,
    metadata: boundedMetadata(error.metadata),
  });
  const status = create(StatusSchema, { code, message, details: [anyPack(ErrorInfoSchema, info)] });
  for (const detail of packExtras({ quotaFailure: quotaFailureOf(error), ...extras })) {
    status.details.push(detail);
    // ErrorInfo is always kept; the others only help people.
    if (toBinary(StatusSchema, status).length > DETAILS_BYTES_MAX) status.details.pop();
  }
  const metadata = new grpc.Metadata();
  metadata.set(DETAILS_TRAILER, Buffer.from(toBinary(StatusSchema, status)));
  return Object.assign(new Error(message, { cause: error }), { code: code as number, details: message, metadata });
}

/** Of an error whose metadata name a quota, and whose it is. */
function quotaFailureOf({ message, metadata }: LeaseholdError): NonNullable<StatusExtras['quotaFailure']> {
  const { quota, whose, used, limit, requested } = metadata;
  if (quota === undefined || whose === undefined) return [];
  const counted = used !== undefined && limit !== undefined && requested !== undefined;
  const unit = /bytes$/i.test(quota) ? ' B' : '';
  const description = counted
    ? `${quota}: ${requested}${unit} more than fit in the ${limit}${unit} allowed, of which ${used}${unit} are taken`
    : `${quota}: ${message}`;
  return [{ subject: whose, description }];
}

function packExtras({ badRequest = [], quotaFailure = [] }: StatusExtras): Any[] {
  const details: Any[] = [];
  if (badRequest.length > 0) {
    const fieldViolations = badRequest.slice(0, VIOLATIONS_MAX).map(({ field, description }) => ({
      field: bounded(field, FIELD_BYTES_MAX),
      description: bounded(description, FIELD_BYTES_MAX),
    }));
    details.push(anyPack(BadRequestSchema, create(BadRequestSchema, { fieldViolations })));
  }
  if (quotaFailure.length > 0) {
    const violations = quotaFailure.slice(0, VIOLATIONS_MAX).map(({ subject, description }) => ({
      subject: bounded(subject, FIELD_BYTES_MAX),
      description: bounded(description, FIELD_BYTES_MAX),
    }));
    details.push(anyPack(QuotaFailureSchema, create(QuotaFailureSchema, { violations })));
  }
  return details;
}

/**
 * Whatever a grpc-js call failed with, as a LeaseholdError. A status without our details is classified by its code;
 * what is no status at all is INTERNAL. The original is the `cause`.
 */
export function fromServiceError(error: unknown): LeaseholdError {
  if (error instanceof LeaseholdError) return error;
  if (!isStatusError(error)) {
    const message = error instanceof Error ? error.message : String(error);
    return new LeaseholdError('INTERNAL', bounded(message, MESSAGE_BYTES_MAX), { cause: error });
  }
  const info = readErrorInfo(error.metadata);
  const message = bounded(error.details, MESSAGE_BYTES_MAX);
  const metadata = info === undefined ? {} : boundedMetadata(info.metadata);
  if (info !== undefined && isErrorCode(info.reason)) {
    return new LeaseholdError(info.reason, message, { metadata, cause: error });
  }
  const code = CODE_OF_BARE_STATUS[grpc.status[error.code] as GrpcStatusName] ?? 'INTERNAL';
  const said = saidOf(code, message);
  // A reason that only a newer broker knows is kept where a person can see it.
  const unknownReason = info === undefined ? {} : { reason: bounded(info.reason, FIELD_BYTES_MAX) };
  return new LeaseholdError(code, said, { metadata: { ...metadata, ...unknownReason }, cause: error });
}

/** What grpc-js itself says, as far as it is of use to people. */
function saidOf(code: ErrorCode, message: string): string {
  if (code === 'BROKER_LOST') return bounded(`the broker ended the call: ${message}`, MESSAGE_BYTES_MAX);
  // After the first comma come where the time went, and addresses.
  return code === 'TIMED_OUT' ? `the broker has not answered in time: ${message.split(',')[0]}` : message;
}

function isStatusError(error: unknown): error is grpc.ServiceError {
  return (
    error instanceof Error &&
    'code' in error &&
    typeof error.code === 'number' &&
    'details' in error &&
    typeof error.details === 'string' &&
    'metadata' in error &&
    error.metadata instanceof grpc.Metadata
  );
}

function readErrorInfo(trailers: grpc.Metadata): MessageShape<typeof ErrorInfoSchema> | undefined {
  const [bytes] = trailers.get(DETAILS_TRAILER);
  if (!(bytes instanceof Uint8Array) || bytes.length > DETAILS_RECEIVED_BYTES_MAX) return undefined;
  const status = tryRead(() => fromBinary(StatusSchema, bytes));
  for (const detail of status?.details ?? []) {
    const info = tryRead(() => anyUnpack(detail, ErrorInfoSchema));
    if (info?.domain === ERROR_DOMAIN) return info;
  }
  return undefined;
}

/** Undecodable details are no details: the status code is still worth having. */
function tryRead<M extends MessageShape<DescMessage>>(read: () => M | undefined): M | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}

function boundedMetadata(metadata: Readonly<Record<string, string>>): Record<string, string> {
  const kept: [string, string][] = [];
  let bytes = 0;
  for (const [key, value] of Object.entries(metadata)) {
    if (!METADATA_KEY.test(key)) continue;
    const boundedValue = bounded(value, FIELD_BYTES_MAX);
    bytes += key.length + Buffer.byteLength(boundedValue);
    if (bytes > METADATA_BYTES_MAX) break;
    kept.push([key, boundedValue]);
  }
  return Object.fromEntries(kept);
}

/** At most so many bytes of UTF-8, and without the lone surrogates on which grpc-js's header encoding throws. */
function bounded(text: string, bytesMax: number): string {
  const { read } = new TextEncoder().encodeInto(text, new Uint8Array(bytesMax));
  return text.slice(0, read).toWellFormed();
}
