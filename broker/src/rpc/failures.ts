/**
 * From anything a handler threw to what its caller may know. What is not a LeaseholdError is a defect: it is logged with an id, the
 * caller gets the id, and the broker goes on.
 */
import { randomUUID } from 'node:crypto';
import { LeaseholdError, type StatusError, type StatusExtras, toServiceError } from '@leasehold/proto';
import type { Logger } from 'pino';

export function statusOf(error: unknown, logger: Logger): StatusError {
  if (error instanceof LeaseholdError && error.code !== 'INTERNAL') return toServiceError(error, extrasOf(error));
  const id = randomUUID();
  logger.error({ err: error, errorId: id }, 'an RPC failed');
  return toServiceError(
    new LeaseholdError('INTERNAL', `The broker failed; its log says why, under ${id}.`, { metadata: { errorId: id } }),
  );
}

/** The standard details that go with some codes. */
function extrasOf({ code, message, metadata }: LeaseholdError): StatusExtras {
  const { field } = metadata;
  if (field !== undefined) return { badRequest: [{ field, description: message }] };
  if (code === 'INVALID_NAME') return { badRequest: [{ field: 'name', description: message }] };
  if (code === 'QUOTA_EXCEEDED') return { quotaFailure: [{ subject: 'broker', description: message }] };
  return {};
}
