/**
 * Changing how much of a mapping's reservation is there. Invariants: one change of a mapping at a time, in the order in which they were
 * asked for; what is charged is what is there; a failure leaves a size whose memory is there, and no process can be killed by it.
 */
import { LeaseholdError } from '@leasehold/proto';
import type { Attachment } from './attachment.ts';
import type { BrokerCore } from './broker-core.ts';
import { whileCalled } from './mapping-operations.ts';
import { memoryError } from './memory-error.ts';
import type { OwnedMapping } from './owned-mapping.ts';
import { deletedMeanwhile } from './registry.ts';
import type { Session } from './session.ts';
import { type MappingSpecification, payloadSize } from './specification.ts';

/** How often those who have lost a lease are looked at before a shrink gives up, and how long it waits in between, ms. */
const SETTLE_LOOKS = 40;
const SETTLE_MS = 50;

interface Shrinking {
  readonly caller: Session;
  readonly holdId: bigint;
  readonly wantedBytes: number;
  readonly life: AbortSignal;
}

export interface ResizeRequest {
  readonly name: string;
  /** Only this one of that name; 0: whichever has it. */
  readonly mappingId: bigint;
  readonly sizeBytes: bigint;
  /** The caller's exclusive lease; needed to make it smaller. */
  readonly holdId: bigint;
  /** A size below the present one changes nothing. */
  readonly onlyGrow: boolean;
}

/**
 * @throws {LeaseholdError} MAPPING_NOT_FOUND, PERMISSION_DENIED, INVALID_SIZE, INVALID_STATE, LEASE_REQUIRED, QUOTA_EXCEEDED,
 *   OUT_OF_MEMORY, LARGE_PAGES_UNAVAILABLE, MEMORY_NOT_LOCKABLE, MAPPING_DELETED, ABORTED
 */
export async function resizeMapping(
  core: BrokerCore,
  caller: Session,
  request: ResizeRequest,
  signal: AbortSignal,
): Promise<OwnedMapping> {
  const wantedBytes = payloadSize(request.sizeBytes);
  core.authorise(caller.peer, 'write', request.name);
  core.requireNotDraining();
  const mapping = core.registry.require(request.name);
  if (request.mappingId !== 0n && request.mappingId !== mapping.id) throw deletedMeanwhile(mapping.name);
  checkReserved(mapping, wantedBytes);
  await whileCalled(caller, signal, (life) =>
    mapping.resizes
      .run(async () => {
        if (mapping.condemned) throw deletedMeanwhile(mapping.name);
        const thereBytes = mapping.memory.grant.payloadBytes;
        try {
          if (wantedBytes > thereBytes) await grow(core, mapping, wantedBytes, life);
          else if (wantedBytes < thereBytes && !request.onlyGrow) {
            await shrink(core, mapping, { caller, holdId: request.holdId, wantedBytes, life });
          }
        } finally {
          // What fails halfway has changed it too.
          if (mapping.memory.grant.payloadBytes !== thereBytes) core.registry.changed(mapping);
        }
      }, life)
      .catch((error: unknown) => {
        throw life.aborted ? abortedBecause(life) : error;
      }),
  );
  return mapping;
}

/** @throws {LeaseholdError} INVALID_STATE for a channel, INVALID_SIZE */
function checkReserved({ name, specification }: OwnedMapping, wantedBytes: number): void {
  if (specification.kind === 'channel') {
    throw new LeaseholdError('INVALID_STATE', `${JSON.stringify(name)} is a channel, whose slots keep their size.`, {
      metadata: { name },
    });
  }
  const { reserveBytes } = specification satisfies MappingSpecification;
  if (wantedBytes <= reserveBytes) return;
  throw new LeaseholdError(
    'INVALID_SIZE',
    `${JSON.stringify(name)} was created with ${reserveBytes} B of reservation and cannot have ${wantedBytes} B; create it with a larger reserve_bytes.`,
    {
      metadata: {
        field: 'size_bytes',
        name,
        requestedBytes: String(wantedBytes),
        reserveBytes: String(reserveBytes),
      },
    },
  );
}

async function grow(core: BrokerCore, mapping: OwnedMapping, wantedBytes: number, life: AbortSignal): Promise<void> {
  const { memory, charge } = mapping;
  const { mappedBytes, pageKind } = memory.grant;
  const moreBytes = memory.mappedBytesFor(wantedBytes) - mappedBytes;
  if (moreBytes > 0) charge.grow(moreBytes, pageKind, core.unpopulatedBytes);
  const growing = new AbortController();
  mapping.growing = growing;
  try {
    await memory.grow(wantedBytes, AbortSignal.any([life, growing.signal]));
  } catch (error) {
    throw growing.signal.aborted ? growing.signal.reason : memoryError(error);
  } finally {
    mapping.growing = null;
    charge.settle(memory.grant.mappedBytes);
  }
}

async function shrink(core: BrokerCore, mapping: OwnedMapping, call: Shrinking): Promise<void> {
  const { caller, holdId, wantedBytes, life } = call;
  requireExclusive(mapping, caller, holdId);
  await nobodyPastTheLock(core, mapping, caller, life);
  // Its memory may have been given back while it waited.
  if (mapping.condemned) throw deletedMeanwhile(mapping.name);
  const { memory, charge } = mapping;
  try {
    await memory.shrink(wantedBytes, () => requireExclusive(mapping, caller, holdId));
  } catch (error) {
    throw memoryError(error);
  } finally {
    charge.settle(memory.grant.mappedBytes);
  }
}

/** @throws {LeaseholdError} LEASE_REQUIRED */
function requireExclusive({ name, lock }: OwnedMapping, caller: Session, holdId: bigint): void {
  const held = lock.held().find(({ id, mode }) => id === holdId && mode === 'exclusive');
  if (held?.attachment?.session === caller) return;
  throw new LeaseholdError(
    'LEASE_REQUIRED',
    `Making ${JSON.stringify(name)} smaller needs its exclusive lease, so that nobody uses what is given back; this session has none.`,
    { metadata: { name, holdId: String(holdId) } },
  );
}

/**
 * What is left of a pool of large pages may go to others, and whoever touches a given back page is killed then; base pages read as zero.
 * Whoever has just lost a lease has a moment to say that it is done with it.
 */
async function nobodyPastTheLock(
  core: BrokerCore,
  mapping: OwnedMapping,
  caller: Session,
  life: AbortSignal,
): Promise<void> {
  if (!mapping.memory.grant.pageKind.startsWith('hugetlb-')) return;
  for (let look = 1; ; look += 1) {
    const others = pastTheLock(mapping, caller);
    if (others.length === 0) return;
    if (look === SETTLE_LOOKS || !others.every(isSettling)) throw attachedPastTheLock(mapping, others);
    await new Promise<void>((resolve) => core.after(SETTLE_MS, resolve));
    life.throwIfAborted();
  }
}

/** Attachments of others whose processes can touch the memory though they have no lease. */
function pastTheLock(mapping: OwnedMapping, caller: Session): Attachment[] {
  return [...mapping.members.values()].filter(({ session, part, active, lostHold }) => {
    // One whose rights are over holds no lease any more, and its process may still be at it.
    return session !== caller && part.kind === 'plain' && (!part.forLeases || !active || lostHold !== null);
  });
}

const isSettling = ({ part, active }: Attachment): boolean => active && part.kind === 'plain' && part.forLeases;

function attachedPastTheLock({ name }: OwnedMapping, others: readonly Attachment[]): LeaseholdError {
  const pids = [...new Set(others.map(({ session }) => session.peer.pid))].slice(0, 8).join(', ');
  return new LeaseholdError(
    'INVALID_STATE',
    `${others.length} attachments of other sessions (pid ${pids}) can touch ${JSON.stringify(name)} without a lease; a large page that is given back could kill their processes. Have them detach, or end, first.`,
    { metadata: { name, attachments: String(others.length) } },
  );
}

const abortedBecause = ({ reason }: AbortSignal): LeaseholdError =>
  reason instanceof LeaseholdError
    ? reason
    : new LeaseholdError('ABORTED', 'The change of size was cancelled.', {
        cause: reason,
      });
