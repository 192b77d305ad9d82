/** One mapping of a fake world that can be resized, in few words. */
import { attachMapping, claimTicket, createMapping } from '../mapping-operations.ts';
import type { OwnedMapping } from '../owned-mapping.ts';
import type { QuotaSettings } from '../quota-limits.ts';
import { type ResizeRequest, resizeMapping } from '../resize-operations.ts';
import type { Session } from '../session.ts';
import { type FakeMapping, type FakeWorld, fakeWorld } from './fake-ports.ts';
import { acquire } from './leases.ts';

export const PAGE = 4096;
/** Beside its data, a mapping has its lock segment. */
const CONTROL = PAGE;

export interface Scene {
  readonly world: FakeWorld;
  readonly owner: Session;
  readonly owned: OwnedMapping;
  readonly memory: FakeMapping;
}

/** The mapping `m`: 5,000 B in two pages, of a reservation of ten. */
export async function scene(options: { quotas?: QuotaSettings; largePages?: boolean } = {}): Promise<Scene> {
  const world = fakeWorld(options);
  const owner = world.open();
  const { mapping: owned } = await createMapping(
    world.core,
    owner,
    {
      name: 'm',
      sizeBytes: 5000n,
      reserveBytes: BigInt(10 * PAGE),
      locked: false,
      numaNode: null,
      pages: 'never',
      lifetime: 'last-attachment',
      maxParticipants: 8,
    },
    { ifExists: 'fail', signal: new AbortController().signal },
  );
  const [memory] = world.memory.mappings;
  if (memory === undefined) throw new Error('no memory was made');
  if (options.largePages === true) memory.grant = { ...memory.grant, pageKind: 'hugetlb-2m' };
  return { world, owner, owned, memory };
}

export const resize = (
  { world, owner }: Scene,
  sizeBytes: number,
  { caller = owner, signal = new AbortController().signal, ...more }: Partial<ResizeRequest> & ResizeOf = {},
): Promise<OwnedMapping> => {
  const request = { name: 'm', mappingId: 0n, sizeBytes: BigInt(sizeBytes), holdId: 0n, onlyGrow: false, ...more };
  return resizeMapping(world.core, caller, request, signal);
};
export interface ResizeOf {
  caller?: Session;
  signal?: AbortSignal;
}

export async function lease({ world, owner }: Scene, caller = owner, mode: 'exclusive' | 'shared' = 'exclusive') {
  return (await acquire(world, caller, { mode, ttlMs: 60_000 })).hold.id;
}
export async function attach({ world }: Scene, caller: Session, forLeases = false) {
  const { attachment, ticket } = await attachMapping(world.core, caller, { name: 'm', access: 'read', forLeases });
  claimTicket(world.core, caller, ticket.bytes);
  return attachment;
}
/** What is there, and what is charged for the data. */
export const state = ({ world, memory, owned }: Scene) => ({
  payloadBytes: memory.grant.payloadBytes,
  charged: owned.charge.bytes - CONTROL,
  total: world.core.quota.chargedBytes - CONTROL - world.core.quota.used('participants') * PAGE,
});
export const untouched = { payloadBytes: 5000, charged: 2 * PAGE, total: 2 * PAGE };
export const grown = (payloadBytes: number) => {
  const charged = Math.ceil(payloadBytes / PAGE) * PAGE;
  return { payloadBytes, charged, total: charged };
};

/** Makes the next change wait until it is told how it ends. */
export function hold(memory: FakeMapping) {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  promise.catch(() => undefined);
  memory.resizing = promise;
  return { goOn: resolve, fail: reject };
}
