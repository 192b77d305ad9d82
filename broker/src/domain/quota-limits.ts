/** What the quotas are when nothing is asked, and what is made of what is asked. Owns no state. */
import { type Amounts, QUOTA_DIMENSIONS, type QuotaDimension, type QuotaLimits } from './quotas.ts';

/** Single limits, in place of the defaults; Infinity: none. */
export interface QuotaSettings {
  readonly total?: Amounts | undefined;
  readonly perUser?: Amounts | undefined;
}

/** What this process may have, whatever is asked. */
export interface SystemBounds {
  readonly participants: number;
  readonly descriptors: number;
}

/** Addresses for reservations, B: a quarter of what one process has on most machines. */
const RESERVED_BYTES = 2 ** 45;
/** Each has its lock mapped in the broker, which may have 65,530 maps on most machines. */
const MAPPINGS = 16_384;
const SESSIONS = 4096;
const SESSIONS_PER_USER = 1024;
const PARTICIPANTS = 32_768;

const NO_BOUNDS: SystemBounds = { participants: PARTICIPANTS, descriptors: 4 * PARTICIPANTS };

/**
 * One user may have all memory and all mappings, but half of what a process has few of: nobody locks the others out by joining.
 * @throws RangeError for what is not a count
 */
export function quotaLimits(
  memoryBytes: number,
  asked: QuotaSettings = {},
  bounds: SystemBounds = NO_BOUNDS,
): QuotaLimits {
  const total = within(bounds, {
    bytes: memoryBytes,
    // The pools are a bound of their own.
    largePageBytes: Number.POSITIVE_INFINITY,
    reservedBytes: 2 * Math.max(RESERVED_BYTES, memoryBytes),
    mappings: MAPPINGS,
    sessions: SESSIONS,
    leases: PARTICIPANTS,
    participants: PARTICIPANTS,
    descriptors: bounds.descriptors,
    ...checked('total', asked.total),
  });
  const perUser = {
    bytes: total.bytes,
    largePageBytes: Number.POSITIVE_INFINITY,
    reservedBytes: Math.max(RESERVED_BYTES, memoryBytes),
    mappings: total.mappings,
    sessions: SESSIONS_PER_USER,
    leases: Math.ceil(total.leases / 2),
    participants: Math.ceil(total.participants / 2),
    descriptors: Math.ceil(total.descriptors / 2),
    ...checked('perUser', asked.perUser),
  };
  return { total, perUser };
}

type Limits = Record<QuotaDimension, number>;

function within({ participants, descriptors }: SystemBounds, limits: Limits): Limits {
  return {
    ...limits,
    participants: Math.min(limits.participants, participants),
    descriptors: Math.min(limits.descriptors, descriptors),
  };
}

function checked(scope: keyof QuotaSettings, amounts: Amounts = {}): Amounts {
  for (const [name, amount] of Object.entries(amounts)) {
    const known = (QUOTA_DIMENSIONS as readonly string[]).includes(name);
    if (!known) throw new RangeError(`quotas.${scope}.${name} is no quota; there are ${QUOTA_DIMENSIONS.join(', ')}`);
    const counts = Number.isSafeInteger(amount) || amount === Number.POSITIVE_INFINITY;
    if (!counts || amount < 0) throw new RangeError(`quotas.${scope}.${name} must be a count from 0, not ${amount}`);
  }
  return amounts;
}
