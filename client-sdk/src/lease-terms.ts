/** How long a lease may be asked for: the broker's bounds, which come with every attachment. */
import type * as proto from '@leasehold/proto';
import { LeaseholdError } from '@leasehold/proto';

export interface LeaseTerms {
  readonly defaultTtlMs: number;
  readonly minTtlMs: number;
  readonly maxTtlMs: number;
  /** The last fencing token that may be used. */
  readonly tokenLimit: bigint;
}

const NS_PER_MS = 1e6;
/** The longest that a request can carry, ms. */
const TTL_MS_LIMIT = 2 ** 32 - 1;

/** @throws LeaseholdError MALFORMED_MESSAGE when they are missing or contradict themselves. */
export function leaseTermsFrom(terms: proto.LeaseTerms | undefined): LeaseTerms {
  if (terms === undefined || terms.minTtlMs < 1 || terms.minTtlMs > terms.maxTtlMs) {
    throw new LeaseholdError('MALFORMED_MESSAGE', 'the broker did not say how long leases may be');
  }
  const { defaultTtlMs, minTtlMs, maxTtlMs, tokenLimit } = terms;
  return { defaultTtlMs, minTtlMs, maxTtlMs, tokenLimit };
}

/** What is granted of a TTL that is asked for, ns. @throws LeaseholdError INVALID_ARGUMENT unless it is a positive number, ms. */
export function grantedTtlNs({ defaultTtlMs, minTtlMs, maxTtlMs }: LeaseTerms, ttlMs: number | undefined): number {
  if (ttlMs === undefined) return defaultTtlMs * NS_PER_MS;
  checkTtl(ttlMs);
  return Math.min(Math.max(ttlMs, minTtlMs), maxTtlMs) * NS_PER_MS;
}

/** As a request carries it; 0 stands for the broker's default. @throws LeaseholdError INVALID_ARGUMENT. */
export function wireTtlMs(ttlMs: number | undefined): number {
  if (ttlMs === undefined) return 0;
  checkTtl(ttlMs);
  return Math.min(Math.ceil(ttlMs), TTL_MS_LIMIT);
}

function checkTtl(ttlMs: number): void {
  if (ttlMs > 0) return;
  throw new LeaseholdError('INVALID_ARGUMENT', `ttlMs must be a positive number of milliseconds, not ${ttlMs}`);
}
