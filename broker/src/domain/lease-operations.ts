/** What a session may ask about leases, but for acquiring one. Authorised here; the deciding is in what this calls. */
import { LeaseholdError } from '@leasehold/proto';
import type { Attachment } from './attachment.ts';
import type { BrokerCore } from './broker-core.ts';
import type { Limits } from './limits.ts';
import type { Held } from './mapping-lock.ts';
import type { OwnedMapping } from './owned-mapping.ts';
import type { Session } from './session.ts';

/** A lease by its names: hold ids are unique in one mapping. */
export interface LeaseRef {
  readonly mappingId: bigint;
  readonly holdId: bigint;
}

export interface LeaseView {
  readonly mapping: OwnedMapping;
  readonly hold: Held;
}

/** What was asked, kept within what this broker grants. */
export function grantedTtlMs(limits: Limits, ttlMs: number): number {
  const { leaseTtlMsMin, leaseTtlMsMax, leaseTtlMsDefault } = limits;
  return ttlMs === 0 ? leaseTtlMsDefault : Math.min(Math.max(ttlMs, leaseTtlMsMin), leaseTtlMsMax);
}

/** @internal Who asks, for which participant, under which id. */
export interface Claim {
  readonly mapping: OwnedMapping;
  readonly attachment: Attachment;
  readonly holdId: bigint;
}

/** @internal A proxy that holds nothing any more serves the next lease; what only it kept is forgotten. */
export function settle(core: BrokerCore, { attachment, mapping, holdId }: Claim): void {
  if (attachment.part.kind !== 'proxy') return;
  mapping.proxies.giveBack(attachment, holdId);
  core.registry.forgetIfUnused(mapping);
}

/** The caller's own hold, or request. @throws {LeaseholdError} LEASE_NOT_FOUND */
function requireOwn(core: BrokerCore, caller: Session, { mappingId, holdId }: LeaseRef): Claim {
  const mapping = core.registry.byId(mappingId);
  const attachment = mapping?.lock.ownerOf(holdId);
  if (mapping !== undefined && attachment?.session === caller) return { mapping, attachment, holdId };
  throw notFound({ mappingId, holdId });
}

const notFound = ({ mappingId, holdId }: LeaseRef): LeaseholdError =>
  new LeaseholdError('LEASE_NOT_FOUND', `This session has no lease ${holdId} of mapping ${mappingId}.`, {
    metadata: { mappingId: String(mappingId), holdId: String(holdId) },
  });

/** @throws {LeaseholdError} LEASE_NOT_FOUND, LEASE_LOST */
export function renewLease(core: BrokerCore, caller: Session, ref: LeaseRef, ttlMs: number): LeaseView {
  const takenFrom = whereTaken(core, caller, ref);
  if (takenFrom !== null) throw lost(takenFrom, ref.holdId);
  const { mapping, holdId } = requireOwn(core, caller, ref);
  const renewed = mapping.lock.renew(holdId, grantedTtlMs(core.limits, ttlMs)) !== null;
  if (!renewed && mapping.lock.isHeld(holdId)) throw lost(mapping, holdId);
  return viewOf(mapping, holdId);
}

/** The mapping whose lease that was, if it was the caller's and was taken away; its participant may have left since. */
function whereTaken(core: BrokerCore, caller: Session, { mappingId, holdId }: LeaseRef): OwnedMapping | null {
  const mapping = core.registry.byId(mappingId);
  return mapping?.lock.wasTakenFrom(caller, holdId) === true ? mapping : null;
}

/** Whether it was released, dropped from the queue, or lost before. @throws {LeaseholdError} LEASE_NOT_FOUND */
export function releaseLease(
  core: BrokerCore,
  caller: Session,
  ref: LeaseRef,
  { markClean }: { readonly markClean: boolean },
): 'dropped' | 'released' | 'lost' {
  for (const member of core.registry.byId(ref.mappingId)?.members.values() ?? []) {
    if (member.session === caller && member.lostHold === ref.holdId) member.lostHold = null;
  }
  const takenFrom = whereTaken(core, caller, ref);
  if (takenFrom !== null) return takenFrom.lock.cancel(ref.holdId);
  const own = requireOwn(core, caller, ref);
  const { mapping, holdId } = own;
  if (markClean && holdsExclusively(mapping, caller, holdId)) mapping.lock.markClean();
  const outcome = mapping.lock.cancel(holdId);
  settle(core, own);
  return outcome;
}

/** @throws {LeaseholdError} LEASE_NOT_FOUND, LEASE_LOST */
export function getLease(core: BrokerCore, caller: Session, ref: LeaseRef): LeaseView {
  const mapping = core.registry.byId(ref.mappingId);
  if (mapping === undefined) throw notFound(ref);
  core.authorise(caller.peer, 'info', mapping.name);
  if (mapping.lock.removalOf(ref.holdId) !== null) throw lost(mapping, ref.holdId);
  return viewOf(mapping, ref.holdId);
}

function viewOf(mapping: OwnedMapping, holdId: bigint): LeaseView {
  const hold = mapping.lock.held().find(({ id }) => id === holdId);
  if (hold === undefined) throw notFound({ mappingId: mapping.id, holdId });
  return { mapping, hold };
}

function lost({ name, lock }: OwnedMapping, holdId: bigint): LeaseholdError {
  const reason = lock.removalOf(holdId) ?? 'EXPIRED';
  return new LeaseholdError('LEASE_LOST', `The lease of ${JSON.stringify(name)} is over: ${reason}.`, {
    metadata: { name, holdId: String(holdId), reason },
  });
}

/** Mappings that somebody holds, waits for, or left in doubt. */
export function listLeases(core: BrokerCore, caller: Session, prefix: string): OwnedMapping[] {
  core.authorise(caller.peer, 'list');
  return core.registry.list(prefix).filter((mapping) => {
    const { lock } = mapping;
    return core.maySee(caller.peer, mapping.name) && (lock.dirty || lock.waiting.length > 0 || lock.held().length > 0);
  });
}

/** @throws {LeaseholdError} PERMISSION_DENIED, LEASE_NOT_FOUND */
export function revokeLease(core: BrokerCore, caller: Session, ref: LeaseRef): void {
  const mapping = core.registry.byId(ref.mappingId);
  core.authorise(caller.peer, 'admin', mapping?.name);
  if (mapping?.lock.revoke(ref.holdId, 'REVOKED') !== true) {
    throw new LeaseholdError('LEASE_NOT_FOUND', `Nobody holds lease ${ref.holdId} of mapping ${ref.mappingId}.`, {
      metadata: { mappingId: String(ref.mappingId), holdId: String(ref.holdId) },
    });
  }
}

/** By the exclusive holder, or an administrator. @returns whether the data was in doubt */
export function markClean(core: BrokerCore, caller: Session, name: string): boolean {
  const mapping = core.registry.find(name);
  const holds = mapping?.lock.held().some(({ id }) => holdsExclusively(mapping, caller, id));
  if (holds !== true) core.authorise(caller.peer, 'admin', name);
  return core.registry.require(name).lock.markClean();
}

function holdsExclusively({ lock }: OwnedMapping, caller: Session, holdId: bigint): boolean {
  const hold = lock.held().find(({ id }) => id === holdId);
  return hold?.mode === 'exclusive' && hold.attachment?.session === caller;
}
