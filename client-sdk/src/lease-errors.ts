/** What goes wrong with leases, in words. */
import { LeaseholdError } from '@leasehold/proto';
import { type Hold, type LockMode, type RemovalReason, TokensExhaustedError } from '@leasehold/shm-core/internal';

/**
 * Why a lease was lost. EXPIRED: its time was over, and nobody renewed it. REVOKED: by an administrator. OWNER_DIED: the broker ended
 * this session. MAPPING_DELETED. BROKER_LOST: its time was over after the broker was gone.
 */
export type LossReason = RemovalReason | 'BROKER_LOST';

const WHAT_HAPPENED: Readonly<Record<LossReason, string>> = {
  EXPIRED: 'it was not renewed in time',
  REVOKED: 'an administrator revoked it',
  OWNER_DIED: 'the broker ended this session',
  MAPPING_DELETED: 'the mapping was deleted',
  BROKER_LOST: 'its time was over, and there was no broker to renew it with',
};

/** LEASE_LOST; `metadata.reason` says why. */
export function leaseLost(name: string, { mode, id, fencingToken }: Hold, reason: LossReason): LeaseholdError {
  return new LeaseholdError(
    'LEASE_LOST',
    `the ${mode} lease of ${name} (token ${fencingToken}) is lost: ${WHAT_HAPPENED[reason]}; take a new one, and look at the data again`,
    { metadata: { reason, mapping: name, holdId: String(id), fencingToken: String(fencingToken) } },
  );
}

export const leaseReleased = (name: string, { mode, fencingToken }: Hold): LeaseholdError =>
  new LeaseholdError('CLOSED', `the ${mode} lease of ${name} (token ${fencingToken}) was released`);

export const leaseViewStolen = (name: string): LeaseholdError =>
  new LeaseholdError(
    'VIEW_STOLEN',
    `the bytes of the lease of ${name} were transferred or detached by somebody else, who can still reach the memory; copy what must travel`,
  );

export const mappingDeleted = (name: string): LeaseholdError =>
  new LeaseholdError('MAPPING_DELETED', `${name} was deleted; create it again if it is still wanted`);

/** Waited in vain behind this process itself. */
export function heldHere(name: string, mode: LockMode, waitMs: number): LeaseholdError {
  const code = waitMs === 0 ? 'LEASE_HELD' : 'LEASE_TIMEOUT';
  const why = `this process itself has, or waits for, a lease that comes before this ${mode} lease of ${name}`;
  return new LeaseholdError(code, `waited ${waitMs} ms: ${why}; release it, or wait for longer`, {
    metadata: { mapping: name, pid: String(process.pid), waitMs: String(waitMs) },
  });
}

/** Waited in vain, and the broker has not said for whom. */
export const leaseTimeout = (name: string, mode: LockMode, waitMs: number): LeaseholdError =>
  new LeaseholdError('LEASE_TIMEOUT', `waited ${waitMs} ms for the ${mode} lease of ${name}; wait for longer`, {
    metadata: { mapping: name, waitMs: String(waitMs) },
  });

export const grantsLost = (name: string, mode: LockMode, tries: number): LeaseholdError =>
  new LeaseholdError(
    'LEASE_TIMEOUT',
    `the ${mode} lease of ${name} was granted ${tries} times and lost before it could be used; ask for a longer ttlMs`,
    { metadata: { mapping: name, tries: String(tries) } },
  );

/** TOKENS_EXHAUSTED in place of what the lock throws; anything else as it is. */
export function tokensExhausted(name: string, error: unknown): unknown {
  if (!(error instanceof TokensExhaustedError)) return error;
  const what = `${name}: all fencing tokens of this epoch are used; restart the broker`;
  return new LeaseholdError('TOKENS_EXHAUSTED', what, { cause: error });
}
