/** LeaseService: requests in, domain, replies out. */
import {
  type AcquireLeaseResponse,
  type KeepAliveRequest,
  type Lease,
  LeaseholdError,
  type LeaseService,
  ReleaseOutcome,
  type ServiceImplementation,
} from '@leasehold/proto';
import { type Acquired, acquireLease } from '../domain/acquire-lease.ts';
import * as leases from '../domain/lease-operations.ts';
import type { Held } from '../domain/mapping-lock.ts';
import type { OwnedMapping } from '../domain/owned-mapping.ts';
import type { Session } from '../domain/session.ts';
import { LEASE_MODE } from '../wire-names.ts';
import { bidiStream, unary, waiting } from './handlers.ts';
import { principalMessage } from './messages.ts';
import { leaseModeOf } from './requests.ts';
import type { RpcContext } from './rpc-context.ts';

const OUTCOME = {
  released: ReleaseOutcome.RELEASED,
  dropped: ReleaseOutcome.DROPPED,
  lost: ReleaseOutcome.LOST,
} as const;

export function leaseService(context: RpcContext): ServiceImplementation<typeof LeaseService> {
  const { core } = context;
  return {
    acquireLease: waiting(context, ({ name, mode, ttlMs, waitMs, attachmentId, holdId }, caller, cancellation) => {
      const wait = Number(waitMs);
      const request = { name, mode: leaseModeOf(mode), ttlMs, waitMs: wait, attachmentId, holdId };
      const acquired = acquireLease(core, caller, request, cancellation);
      return acquired instanceof Promise ? acquired.then(acquiredMessage) : acquiredMessage(acquired);
    }),
    renewLease: unary(context, ({ mappingId, holdId, ttlMs }, caller) => {
      const { mapping, hold } = leases.renewLease(core, caller, { mappingId, holdId }, ttlMs);
      return { lease: leaseMessage(mapping, hold) };
    }),
    keepAlive: bidiStream(context, (caller) => (request) => kept(context, caller, request)),
    releaseLease: unary(context, ({ mappingId, holdId, markClean }, caller) => {
      const outcome = leases.releaseLease(core, caller, { mappingId, holdId }, { markClean });
      return { $typeName: 'leasehold.v1.ReleaseLeaseResponse' as const, outcome: OUTCOME[outcome] };
    }),
    getLease: unary(context, ({ mappingId, holdId }, caller) => {
      const { mapping, hold } = leases.getLease(core, caller, { mappingId, holdId });
      return { lease: leaseMessage(mapping, hold) };
    }),
    listLeases: unary(context, ({ prefix }, caller) => ({
      mappings: leases.listLeases(core, caller, prefix).map((mapping) => mappingLeasesMessage(context, mapping)),
    })),
    revokeLease: unary(context, ({ mappingId, holdId }, caller) => {
      leases.revokeLease(core, caller, { mappingId, holdId });
      return {};
    }),
    markClean: unary(context, ({ name }, caller) => ({ wasDirty: leases.markClean(core, caller, name) })),
  };
}

/** One renewal of a stream. A lease that is over ends itself, not the stream. */
function kept({ core }: RpcContext, caller: Session, { mappingId, holdId, ttlMs }: KeepAliveRequest) {
  try {
    const { hold } = leases.renewLease(core, caller, { mappingId, holdId }, ttlMs);
    return { mappingId, holdId, timeLeftMs: hold.timeLeftMs, lostReason: '' };
  } catch (error) {
    if (!(error instanceof LeaseholdError)) throw error;
    const lostReason = error.code === 'LEASE_LOST' ? (error.metadata.reason ?? error.code) : error.code;
    return { mappingId, holdId, timeLeftMs: 0, lostReason };
  }
}

function acquiredMessage({ mapping, hold, dirty }: Acquired): AcquireLeaseResponse {
  return { $typeName: 'leasehold.v1.AcquireLeaseResponse', lease: leaseMessage(mapping, hold, dirty !== 0n) };
}

/** A whole message, with its type: what has none is copied into one before it is sent, which takes longer than all that is done here. */
function leaseMessage(mapping: OwnedMapping, hold: Held, previousOwnerDied = mapping.lock.dirty): Lease {
  const { id, mode, attachment, fencingToken, timeLeftMs, deadlineNs } = hold;
  return {
    $typeName: 'leasehold.v1.Lease',
    mappingName: mapping.name,
    mappingId: mapping.id,
    holdId: id,
    mode: LEASE_MODE[mode],
    fencingToken,
    ...(attachment === null ? {} : { holder: principalMessage(attachment.session) }),
    timeLeftMs,
    deadlineNs,
    overdue: timeLeftMs === 0,
    previousOwnerDied,
  };
}

function mappingLeasesMessage({ clock }: RpcContext, mapping: OwnedMapping) {
  const { lock } = mapping;
  const nowMs = clock.nowMs();
  return {
    mappingName: mapping.name,
    mappingId: mapping.id,
    channel: mapping.channel !== null,
    dirty: lock.dirty,
    fencingToken: lock.newestToken,
    holders: lock.held().map((hold) => leaseMessage(mapping, hold)),
    waiters: lock.waiting.map(({ attachment, id, mode, sinceMs }, position) => ({
      principal: principalMessage(attachment.session),
      mode: LEASE_MODE[mode],
      waitingMs: BigInt(Math.max(0, Math.trunc(nowMs - sinceMs))),
      holdId: id,
      position,
    })),
  };
}
