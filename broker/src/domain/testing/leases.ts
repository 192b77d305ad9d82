/** Leases of a plain mapping in a fake world, in few words. */
import { holderBase, type LockMode, makeHoldId } from '@leasehold/shm-core/internal';
import { type AcquireRequest, acquireLease, type Cancellation } from '../acquire-lease.ts';
import type { Attachment } from '../attachment.ts';
import { attachMapping, claimTicket, createMapping } from '../mapping-operations.ts';
import type { OwnedMapping } from '../owned-mapping.ts';
import type { Session } from '../session.ts';
import type { FakeMapping, FakeWorld } from './fake-ports.ts';

export const NS_PER_MS = 1_000_000n;

/** The mapping `m`, and its lock words. */
export async function mapping(
  { core, memory }: FakeWorld,
  owner: Session,
  more: { maxParticipants?: number; lifetime?: 'persistent' | 'last-attachment' } = {},
): Promise<{ mapping: OwnedMapping; memory: FakeMapping }> {
  const memoryRequest = { sizeBytes: 4096n, reserveBytes: 0n, locked: false, numaNode: null };
  const request = { name: 'm', ...memoryRequest, pages: 'never', lifetime: 'persistent', maxParticipants: 8 } as const;
  const { signal } = new AbortController();
  const created = await createMapping(core, owner, { ...request, ...more }, { ifExists: 'fail', signal });
  const words = memory.mappings.at(-1);
  if (words === undefined) throw new Error('no memory was made');
  return { mapping: created.mapping, memory: words };
}

/** Acquires `m` by RPC alone. */
export async function acquire(
  { core }: FakeWorld,
  caller: Session,
  more: Partial<AcquireRequest> = {},
  { signal } = new AbortController(),
) {
  const request: AcquireRequest = {
    name: 'm',
    mode: 'exclusive',
    ttlMs: 1000,
    waitMs: 0,
    attachmentId: 0n,
    holdId: 0n,
    ...more,
  };
  return acquireLease(core, caller, request, cancellationOf(signal));
}

/** Of a caller who cancels by that signal. */
export const cancellationOf = (signal: AbortSignal): Cancellation => ({
  get aborted() {
    return signal.aborted;
  },
  onAbort(tell) {
    signal.addEventListener('abort', tell, { once: true });
    return () => signal.removeEventListener('abort', tell);
  },
});

export async function attach({ core }: FakeWorld, caller: Session, access: 'read' | 'write' = 'write') {
  const { attachment, ticket } = await attachMapping(core, caller, { name: 'm', access, forLeases: true });
  claimTicket(core, caller, ticket.bytes);
  return attachment;
}

export const holdId = ({ place }: Attachment, serial: number): bigint =>
  makeHoldId(holderBase(place.index, place.generation), serial);

/** Takes the lock in memory, as a participant does whom nobody contends with. */
export function holdInMemory(
  { lock, memory, clock }: { lock: FakeMapping['lock']; memory: FakeMapping; clock: FakeWorld['clock'] },
  { id, mode, index, ttlMs }: { id: bigint; mode: LockMode; index: number; ttlMs: number },
): void {
  const page = memory.participant(index)?.page;
  if (page === undefined) throw new Error(`participant ${index} has no page`);
  page.storeDeadline(BigInt(clock.nowNs()) + BigInt(ttlMs) * NS_PER_MS);
  const held = mode === 'exclusive' ? lock.casHolder(0n, id) : page.casSharedHold(0n, id);
  if (!held) throw new Error('the lock is not free');
}
