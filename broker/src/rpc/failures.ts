/**
 * From anything a handler threw to what its caller may know. What is neither a LeaseholdError nor a lack of
 * descriptors is a defect: it is logged with an id, the caller gets the id, with the system call that failed if that was it, and the
 * broker goes on.
 */
import { randomUUID } from 'node:crypto';
import { LeaseholdError, type StatusError, type StatusExtras, toServiceError } from '@leasehold/proto';
import type { Logger } from 'pino';
import { noDescriptors } from '../domain/memory-error.ts';

export function statusOf(error: unknown, logger: Logger): StatusError {
  const known = error instanceof LeaseholdError ? error : noDescriptors(error);
  if (known !== null && known.code !== 'INTERNAL') return toServiceError(known, extrasOf(known));
  const id = randomUUID();
  logger.error({ err: error, errorId: id }, 'an RPC failed');
  const metadata = { errorId: id, ...systemCallOf(known) };
  return toServiceError(
    new LeaseholdError('INTERNAL', `The broker failed; its log says why, under ${id}.`, { metadata }),
  );
}

function systemCallOf(error: LeaseholdError | null): { call: string; errno: string } | null {
  const { call, errno } = error?.metadata ?? {};
  return call === undefined || errno === undefined ? null : { call, errno };
}

/** The standard details that go with some codes. */
function extrasOf({ code, message, metadata }: LeaseholdError): StatusExtras {
  const { field } = metadata;
  if (field !== undefined) return { badRequest: [{ field, description: message }] };
  if (code === 'INVALID_NAME') return { badRequest: [{ field: 'name', description: message }] };
  // With `quota` in the metadata, what is said of it is made of that.
  if (code === 'QUOTA_EXCEEDED' && metadata.quota === undefined) {
    return { quotaFailure: [{ subject: 'broker', description: message }] };
  }
  return {};
}
