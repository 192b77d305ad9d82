/** What a session may ask about leases. Authorised here; the deciding is in what this calls. */
import { LeaseholdError } from '@leasehold/proto';
import { isHoldOf, type LockGrant, type LockMode } from '@leasehold/shm-core/internal';
import type { Attachment } from './attachment.ts';
import type { BrokerCore } from './broker-core.ts';
import type { Limits } from './limits.ts';
import type { Held } from './mapping-lock.ts';
import type { OwnedMapping } from './owned-mapping.ts';
import type { Timer } from './ports.ts';
import type { Session } from './session.ts';

export interface AcquireRequest {
  /** Of the mapping; may be left out when the attachment is named. */
  readonly name: string;
  readonly mode: LockMode;
  /** 0 = the broker's default. */
  readonly ttlMs: number;
  /** 0 = do not wait. */
  readonly waitMs: number;
  /** 0 = none: the broker keeps a participant for the session. */
  readonly attachmentId: bigint;
  /** With an attachment: the participant's own id, not used before. */
  readonly holdId: bigint;
}

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

/** Who asks, for which participant, under which id. */
interface Claim {
  readonly mapping: OwnedMapping;
  readonly attachment: Attachment;
  readonly holdId: bigint;
}

/**
 * Waits for the lease, no longer than asked. When `signal` aborts before this returns, nothing is held.
 * @throws {LeaseholdError} LEASE_HELD, LEASE_TIMEOUT, ABORTED, MAPPING_DELETED, TOKENS_EXHAUSTED, QUOTA_EXCEEDED; as `requireLeasable`
 */
export async function acquireLease(
  core: BrokerCore,
  caller: Session,
  request: AcquireRequest,
  signal: AbortSignal,
): Promise<{ mapping: OwnedMapping; hold: Held; dirty: bigint }> {
  const claim =
    request.attachmentId === 0n ? await byProxy(core, caller, request) : byAttachment(core, caller, request);
  const { mapping, attachment, holdId } = claim;
  const ttlMs = grantedTtlMs(core.limits, request.ttlMs);
  // Of an attachment only the wait: once it has the lease, it may give it away in memory without a word.
  const waiting = attachment.part.kind === 'proxy' ? null : core.quota.take(caller.peer.uid, { leases: 1 });
  try {
    const waitMs = Math.min(request.waitMs, core.limits.leaseWaitMsMax);
    const grant = await granted(core, claim, { mode: request.mode, ttlMs, waitMs }, signal);
    if (signal.aborted) throw cancelled();
    const hold = { attachment, id: holdId, mode: request.mode, timeLeftMs: ttlMs, ...grant };
    return { mapping, hold, dirty: grant.dirty };
  } catch (error) {
    mapping.lock.cancel(holdId);
    settle(core, claim);
    throw error;
  } finally {
    waiting?.release();
  }
}

/** A participant of the broker's own, for a session that maps nothing. */
async function byProxy(
  core: BrokerCore,
  caller: Session,
  { name, mode, holdId: chosen }: AcquireRequest,
): Promise<Claim> {
  if (chosen !== 0n)
    throw invalid('hold_id', 'is chosen by the broker for a request without an attachment; leave it 0');
  authoriseLease(core, caller, name, mode);
  const mapping = requirePlain(core.registry.require(name));
  const { proxy, holdId } = await mapping.proxies.take(caller, mapping);
  return { mapping, attachment: proxy, holdId };
}

function byAttachment(core: BrokerCore, caller: Session, { attachmentId, holdId, mode }: AcquireRequest): Claim {
  const attachment = caller.attachments.get(attachmentId);
  if (attachment === undefined || !attachment.active || attachment.part.kind === 'proxy') {
    throw new LeaseholdError('ATTACHMENT_NOT_FOUND', `This session has no attachment ${attachmentId}.`, {
      metadata: { attachmentId: String(attachmentId) },
    });
  }
  authoriseLease(core, caller, attachment.mapping.name, mode);
  const mapping = requirePlain(attachment.mapping);
  const { index, generation } = attachment.place;
  const own = isHoldOf(holdId, attachment.place) && hasSerial(holdId);
  if (!own || mapping.lock.isHeld(holdId) || mapping.lock.isWaiting(holdId)) {
    throw invalid('hold_id', `${holdId} is not a new id of participant ${index}, generation ${generation}`);
  }
  if (mode === 'exclusive' && attachment.access !== 'write') {
    throw invalid('mode', 'an attachment that only reads cannot have an exclusive lease');
  }
  return { mapping, attachment, holdId };
}

/** An id without is what its participant is called, not a hold. */
const hasSerial = (holdId: bigint): boolean => BigInt.asUintN(32, holdId) !== 0n;

const invalid = (field: string, problem: string): LeaseholdError =>
  new LeaseholdError('INVALID_ARGUMENT', `${field}: ${problem}.`, { metadata: { field } });

/** @throws {LeaseholdError} PERMISSION_DENIED */
function authoriseLease(core: BrokerCore, caller: Session, name: string, mode: LockMode): void {
  core.authorise(caller.peer, mode === 'exclusive' ? 'write' : 'read', name);
}

/** @throws {LeaseholdError} INVALID_STATE */
function requirePlain(mapping: OwnedMapping): OwnedMapping {
  if (mapping.channel === null) return mapping;
  const { name } = mapping;
  throw new LeaseholdError(
    'INVALID_STATE',
    `${JSON.stringify(name)} is a channel; its lease is the publisher's: get it with OpenPublisher.`,
    { metadata: { name } },
  );
}

interface Wanted {
  readonly mode: LockMode;
  readonly ttlMs: number;
  readonly waitMs: number;
}

function granted(
  core: BrokerCore,
  { mapping, attachment, holdId }: Claim,
  { mode, ttlMs, waitMs }: Wanted,
  signal: AbortSignal,
): Promise<LockGrant> {
  return new Promise((resolve, reject) => {
    let settled = false;
    const finish = (outcome: () => void): void => {
      if (settled) return;
      settled = true;
      timer?.cancel();
      signal.removeEventListener('abort', onAbort);
      outcome();
    };
    const onAbort = (): void => finish(() => reject(cancelled()));
    let timer: Timer | undefined;
    if (signal.aborted) return onAbort();
    mapping.lock.request(
      attachment,
      { id: holdId, mode, ttlMs },
      {
        granted: (grant) => finish(() => resolve(grant)),
        refused: (why) => finish(() => reject(why)),
      },
    );
    if (settled) return;
    if (waitMs === 0) return finish(() => reject(isHeld(mapping)));
    timer = core.after(waitMs, () => finish(() => reject(timedOut(mapping, waitMs))));
    signal.addEventListener('abort', onAbort, { once: true });
  });
}

const cancelled = (): LeaseholdError => new LeaseholdError('ABORTED', 'The call was cancelled.');

function isHeld(mapping: OwnedMapping): LeaseholdError {
  const { name } = mapping;
  return new LeaseholdError('LEASE_HELD', `The lease of ${JSON.stringify(name)} is held: ${inTheWay(mapping)}.`, {
    metadata: { name },
  });
}

function timedOut(mapping: OwnedMapping, waitMs: number): LeaseholdError {
  const { name } = mapping;
  return new LeaseholdError(
    'LEASE_TIMEOUT',
    `Waited ${waitMs} ms for the lease of ${JSON.stringify(name)}: ${inTheWay(mapping)}.`,
    { metadata: { name, waitMs: String(waitMs) } },
  );
}

/** For people: who holds, and how many wait beside the caller. */
function inTheWay({ lock }: OwnedMapping): string {
  const holders = lock.held().map(({ attachment, mode }) => {
    const session = attachment?.session;
    return session === undefined ? mode : `${mode} by ${JSON.stringify(session.name)} (pid ${session.peer.pid})`;
  });
  const others = Math.max(0, lock.waiting.length - 1);
  const held = holders.length === 0 ? 'nobody holds it now' : holders.slice(0, 3).join(', ');
  return `${held}${holders.length > 3 ? ` and ${holders.length - 3} more` : ''}, ${others} others waiting`;
}

/** A proxy that holds nothing any more serves the next lease; what only it kept is forgotten. */
function settle(core: BrokerCore, { attachment, mapping, holdId }: Claim): void {
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
