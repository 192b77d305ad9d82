// Errors over the wire and back, and statuses from parties that mean no good.
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { AnySchema, anyPack, anyUnpack } from '@bufbuild/protobuf/wkt';
import * as grpc from '@grpc/grpc-js';
import { describe, expect, it } from 'vitest';
import { BadRequestSchema, ErrorInfoSchema, QuotaFailureSchema } from '../gen/google/rpc/error_details_pb.js';
import { StatusSchema } from '../gen/google/rpc/status_pb.js';
import { ERROR_CATALOGUE, type ErrorCode } from './error-catalogue.ts';
import { LeaseholdError } from './leasehold-error.ts';
import { fromServiceError, type StatusError, toServiceError } from './status-details.ts';

const TRAILER = 'grpc-status-details-bin';
const ALL_CODES = Object.keys(ERROR_CATALOGUE) as ErrorCode[];

function detailBytes(error: StatusError): Buffer {
  const [bytes] = error.metadata.get(TRAILER);
  if (!Buffer.isBuffer(bytes)) throw new Error('the trailer is missing');
  return bytes;
}

function statusError(code: grpc.status, trailer?: Uint8Array): grpc.ServiceError {
  const metadata = new grpc.Metadata();
  if (trailer !== undefined) metadata.set(TRAILER, Buffer.from(trailer));
  return Object.assign(new Error('13 INTERNAL: text'), { code, details: 'text', metadata });
}

function trailerOf(reason: string, domain: string, metadata: Record<string, string> = {}): Uint8Array {
  const info = create(ErrorInfoSchema, { reason, domain, metadata });
  return toBinary(StatusSchema, create(StatusSchema, { details: [anyPack(ErrorInfoSchema, info)] }));
}

describe('a LeaseholdError as a gRPC status', () => {
  it.each(ALL_CODES)('%s comes back as it went', (code) => {
    const cause = new Error('why');
    const sent = new LeaseholdError(code, 'what happened: ä 📷\nand more', {
      metadata: { name: 'cameras/front' },
      cause,
    });
    const wire = toServiceError(sent);
    expect(grpc.status[wire.code]).toBe(ERROR_CATALOGUE[code].status);
    const received = fromServiceError(wire);
    expect(received).toMatchObject({ code, message: sent.message, metadata: sent.metadata, retryable: sent.retryable });
    expect(received.cause).toBe(wire);
  });

  it('carries bad fields and exceeded quotas for those who look', () => {
    const badRequest = [{ field: 'spec.slots', description: 'must be at least 3' }];
    const quotaFailure = [{ subject: 'uid:1000', description: '64 MiB of 64 MiB are used' }];
    const wire = toServiceError(new LeaseholdError('QUOTA_EXCEEDED', 'no'), { badRequest, quotaFailure });
    const { code, details } = fromBinary(StatusSchema, detailBytes(wire));
    expect(code).toBe(grpc.status.RESOURCE_EXHAUSTED);
    expect(details.map((detail) => detail.typeUrl)).toEqual([
      'type.googleapis.com/google.rpc.ErrorInfo',
      'type.googleapis.com/google.rpc.BadRequest',
      'type.googleapis.com/google.rpc.QuotaFailure',
    ]);
    const [, badRequestAny = create(AnySchema), quotaFailureAny = create(AnySchema)] = details;
    expect(anyUnpack(badRequestAny, BadRequestSchema)?.fieldViolations).toMatchObject(badRequest);
    expect(anyUnpack(quotaFailureAny, QuotaFailureSchema)?.violations).toMatchObject(quotaFailure);
  });

  it('says of a quota whose it is and how much is missing, as QuotaFailure, from nothing but the metadata', () => {
    const metadata = { quota: 'largePageBytes', whose: 'uid:1000', used: '65011712', limit: '67108864' };
    const violationsOf = (error: LeaseholdError) => {
      const [, detail = create(AnySchema)] = fromBinary(StatusSchema, detailBytes(toServiceError(error))).details;
      return anyUnpack(detail, QuotaFailureSchema)?.violations.map(({ subject, description }) => [
        subject,
        description,
      ]);
    };
    const exceeded = new LeaseholdError('QUOTA_EXCEEDED', 'no', { metadata: { ...metadata, requested: '4194304' } });
    expect(violationsOf(exceeded)).toEqual([
      ['uid:1000', 'largePageBytes: 4194304 B more than fit in the 67108864 B allowed, of which 65011712 B are taken'],
    ]);
    const sessions = { quota: 'sessions', whose: 'broker', used: '9', limit: '9', requested: '1' };
    expect(violationsOf(new LeaseholdError('TOO_MANY_SESSIONS', 'no', { metadata: sessions }))).toEqual([
      ['broker', 'sessions: 1 more than fit in the 9 allowed, of which 9 are taken'],
    ]);
    // Without the figures there is at least the message; without a name there is nothing to say.
    expect(violationsOf(new LeaseholdError('QUOTA_EXCEEDED', 'no more', { metadata }))).toEqual([
      ['uid:1000', 'largePageBytes: no more'],
    ]);
    expect(violationsOf(new LeaseholdError('QUOTA_EXCEEDED', 'no more'))).toBeUndefined();
  });

  it('stays small whatever the error says, and keeps its reason', () => {
    const long = '📷'.repeat(100_000);
    const metadata = Object.fromEntries(Array.from({ length: 1000 }, (_, index) => [`key${index}`, long]));
    const descriptions = Array.from({ length: 1000 }, () => ({ field: long, subject: long, description: long }));
    const wire = toServiceError(new LeaseholdError('OUT_OF_MEMORY', long, { metadata }), {
      badRequest: descriptions,
      quotaFailure: descriptions,
    });
    const headers = encodeURI(wire.details).length + detailBytes(wire).toString('base64').length;
    expect(headers).toBeLessThan(8000);
    expect(fromServiceError(wire).code).toBe('OUT_OF_MEMORY');
  });

  it('survives text that is no Unicode, on which header encoding would throw', () => {
    const wire = toServiceError(new LeaseholdError('INVALID_NAME', 'half \ud83d', { metadata: { name: '\udcf7' } }));
    expect(() => encodeURI(wire.details)).not.toThrow();
    expect(fromServiceError(wire).metadata).toEqual({ name: '\ufffd' });
  });
});

describe('a gRPC status as a LeaseholdError', () => {
  it.each([
    [grpc.status.UNAVAILABLE, 'BROKER_LOST'],
    [grpc.status.DEADLINE_EXCEEDED, 'TIMED_OUT'],
    [grpc.status.CANCELLED, 'BROKER_LOST'],
    [grpc.status.PERMISSION_DENIED, 'PERMISSION_DENIED'],
    [grpc.status.UNAUTHENTICATED, 'UNAUTHENTICATED'],
    [grpc.status.UNIMPLEMENTED, 'UNSUPPORTED_VERSION'],
    [grpc.status.DATA_LOSS, 'INTERNAL'],
    [99 as grpc.status, 'INTERNAL'],
  ])('is classified by its status %s when it brings no details', (status, code) => {
    const error = statusError(status);
    expect(fromServiceError(error)).toMatchObject({ code, message: expect.stringMatching(/text$/), cause: error });
  });

  it.each([
    ['noise', new Uint8Array(100).fill(0xff)],
    ['nothing', new Uint8Array()],
    ['more than anybody sends', new Uint8Array(100_000)],
    ['a reason of another domain', trailerOf('CORRUPT_MEMORY', 'example.com')],
    ['an inherited property as reason', trailerOf('constructor', 'leasehold')],
    [
      'a detail that is no ErrorInfo inside',
      toBinary(
        StatusSchema,
        create(StatusSchema, {
          details: [{ typeUrl: 'type.googleapis.com/google.rpc.ErrorInfo', value: new Uint8Array(9).fill(0xff) }],
        }),
      ),
    ],
  ])('falls back to the status when the details are %s', (_, trailer) => {
    expect(fromServiceError(statusError(grpc.status.UNAVAILABLE, trailer)).code).toBe('BROKER_LOST');
  });

  it('shows a reason that only a newer broker knows', () => {
    const error = fromServiceError(
      statusError(grpc.status.FAILED_PRECONDITION, trailerOf('NOT_YET_KNOWN', 'leasehold')),
    );
    expect(error).toMatchObject({ code: 'INVALID_STATE', metadata: { reason: 'NOT_YET_KNOWN' } });
  });

  it('believes no more metadata than it would send', () => {
    const metadata = { __proto__x: 'a', 'bad key': 'b', ok: 'x'.repeat(5000), ['__proto__']: 'c' };
    const trailer = trailerOf('INTERNAL', 'leasehold', metadata);
    expect(fromServiceError(statusError(grpc.status.INTERNAL, trailer)).metadata).toEqual({ ok: 'x'.repeat(256) });
  });

  it('lets a LeaseholdError through and takes anything else for a defect', () => {
    const error = new LeaseholdError('CLOSED', 'closed');
    expect(fromServiceError(error)).toBe(error);
    expect(fromServiceError(new TypeError('oops'))).toMatchObject({ code: 'INTERNAL', message: 'oops' });
    expect(fromServiceError(undefined)).toMatchObject({ code: 'INTERNAL' });
  });
});
