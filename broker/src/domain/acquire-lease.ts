/**
 * Acquiring a lease. Invariants: what is free is granted before this returns, with no promise and no timer; whoever is refused, or
 * does not wait for the answer any more, holds nothing and waits for nothing.
 */
import { LeaseholdError } from '@leasehold/proto';
import { isHoldOf, type LockGrant, type LockMode } from '@leasehold/shm-core/internal';
import type { BrokerCore } from './broker-core.ts';
import { type Claim, grantedTtlMs, settle } from './lease-operations.ts';
import type { ProxyHold } from './lease-proxies.ts';
import type { Held, LockWaiter } from './mapping-lock.ts';
import type { OwnedMapping } from './owned-mapping.ts';
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

/** Whether the caller still waits for the answer. */
export interface Cancellation {
  readonly aborted: boolean;
  /** Tells when it does not any more, at once if so already. @returns to be told no more */
  onAbort(tell: () => void): () => void;
}

export interface Acquired {
  readonly mapping: OwnedMapping;
  readonly hold: Held;
  /** The hold that was removed and whose data nobody has declared good since; 0 = none. */
  readonly dirty: bigint;
}

/**
 * Waits for the lease, no longer than asked. When the caller cancels before the lease is granted, nothing is held.
 * @throws {LeaseholdError} at once, or from the promise: LEASE_HELD, LEASE_TIMEOUT, ABORTED, MAPPING_DELETED, TOKENS_EXHAUSTED,
 * QUOTA_EXCEEDED, PERMISSION_DENIED, ATTACHMENT_NOT_FOUND, INVALID_ARGUMENT, INVALID_STATE
 */
export function acquireLease(
  core: BrokerCore,
  caller: Session,
  request: AcquireRequest,
  cancellation: Cancellation,
): Acquired | Promise<Acquired> {
  const claim = request.attachmentId === 0n ? byProxy(core, caller, request) : byAttachment(core, caller, request);
  const acquire = (ready: Claim) => acquireFor(core, ready, request, cancellation);
  return claim instanceof Promise ? claim.then(acquire) : acquire(claim);
}

function acquireFor(
  core: BrokerCore,
  claim: Claim,
  { mode, ttlMs: askedMs, waitMs: askedWaitMs }: AcquireRequest,
  cancellation: Cancellation,
): Acquired | Promise<Acquired> {
  const { mapping, attachment, holdId: id } = claim;
  const ttlMs = grantedTtlMs(core.limits, askedMs);
  const waitMs = Math.min(askedWaitMs, core.limits.leaseWaitMsMax);
  // Of an attachment only the wait: once it has the lease, it may give it away in memory without a word.
  const { session, part } = attachment;
  const waiting = part.kind === 'proxy' ? null : core.quota.take(session.peer.uid, { leases: 1 });
  const acquired = ({ dirty, fencingToken, deadlineNs }: LockGrant): Acquired => {
    if (cancellation.aborted) throw cancelled();
    waiting?.release();
    return { mapping, hold: { attachment, id, mode, fencingToken, deadlineNs, timeLeftMs: ttlMs }, dirty };
  };
  const failed = (error: unknown): never => {
    mapping.lock.cancel(id);
    settle(core, claim);
    waiting?.release();
    throw error;
  };
  try {
    if (cancellation.aborted) throw cancelled();
    const grant = granted(core, claim, { mode, ttlMs, waitMs }, cancellation);
    return grant instanceof Promise ? grant.then(acquired).catch(failed) : acquired(grant);
  } catch (error) {
    return failed(error);
  }
}

/** A participant of the broker's own, for a session that maps nothing. */
function byProxy(
  core: BrokerCore,
  caller: Session,
  { name, mode, holdId: chosen }: AcquireRequest,
): Claim | Promise<Claim> {
  if (chosen !== 0n) {
    throw invalid('hold_id', 'is chosen by the broker for a request without an attachment; leave it 0');
  }
  authoriseLease(core, caller, name, mode);
  const mapping = requirePlain(core.registry.require(name));
  const claimFor = ({ proxy, holdId }: ProxyHold): Claim => ({ mapping, attachment: proxy, holdId });
  const taken = mapping.proxies.take(caller, mapping);
  return taken instanceof Promise ? taken.then(claimFor) : claimFor(taken);
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

/** The grant, or a promise of it when somebody is in the way. @throws {LeaseholdError} as `acquireLease`, at once */
function granted(
  core: BrokerCore,
  { mapping, attachment, holdId }: Claim,
  { mode, ttlMs, waitMs }: Wanted,
  cancellation: Cancellation,
): LockGrant | Promise<LockGrant> {
  const waiter = new GrantWaiter();
  mapping.lock.request(attachment, { id: holdId, mode, ttlMs }, waiter);
  const { outcome } = waiter;
  if (outcome instanceof LeaseholdError) throw outcome;
  if (outcome !== null) return outcome;
  if (waitMs === 0) throw isHeld(mapping);
  return new Promise((resolve, reject) => {
    const timer = core.after(waitMs, () => waiter.refused(timedOut(mapping, waitMs)));
    const stopListening = cancellation.onAbort(() => waiter.refused(cancelled()));
    waiter.onSettled((settled) => {
      timer.cancel();
      stopListening();
      if (settled instanceof LeaseholdError) reject(settled);
      else resolve(settled);
    });
  });
}

/** Keeps what comes of a request: the first thing that does. */
class GrantWaiter implements LockWaiter {
  #outcome: LockGrant | LeaseholdError | null = null;
  #tell: ((outcome: LockGrant | LeaseholdError) => void) | null = null;

  get outcome(): LockGrant | LeaseholdError | null {
    return this.#outcome;
  }
  /** Tells what has come, or when it comes. */
  onSettled(tell: (outcome: LockGrant | LeaseholdError) => void): void {
    this.#tell = tell;
    if (this.#outcome !== null) tell(this.#outcome);
  }

  granted(grant: LockGrant): void {
    this.#settle(grant);
  }
  refused(why: LeaseholdError): void {
    this.#settle(why);
  }
  #settle(outcome: LockGrant | LeaseholdError): void {
    if (this.#outcome !== null) return;
    this.#outcome = outcome;
    this.#tell?.(outcome);
  }
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
