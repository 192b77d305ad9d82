/** Leases that nobody contends for, in memory. All in one process; another one takes part in the mapping and is idle. */
import { type Broker, type Lease, type Mapping, monotonicNs } from '@leasehold/client';
import { PAIRS_PER_BATCH, TAKES, type TakeId } from './figures.ts';

const BYTES = 4_096;

/** A place for both modes in this process. */
export async function prepareLeases(broker: Broker, name: string): Promise<Mapping> {
  const mapping = await broker.createMapping(name, { sizeBytes: BYTES, ifExists: 'open-if-same' });
  await mapping.prepare('shared');
  await mapping.prepare('exclusive');
  return mapping;
}

/** What one pair took, ns, as the mean of each of `batches`. */
export async function timeTakes(mapping: Mapping, id: TakeId, batches: number): Promise<number[]> {
  // Whoever joined since the last time has a page that this process has not seen; `lease` fetches it.
  (await mapping.lease('exclusive')).release();
  const batch = TAKES[id].call === 'lease' ? leaseBatch : tryLeaseBatch;
  const tookNs: number[] = [];
  for (let index = 0; index < batches; index += 1) tookNs.push((await batch(mapping, id)) / PAIRS_PER_BATCH);
  return tookNs;
}

function tryLeaseBatch(mapping: Mapping, id: TakeId): number {
  const { mode, view } = TAKES[id];
  let sum = 0;
  const startNs = monotonicNs();
  for (let pair = 0; pair < PAIRS_PER_BATCH; pair += 1) {
    const lease: Lease | null = mode === 'shared' ? mapping.tryLease('shared') : mapping.tryLease('exclusive');
    if (lease === null) throw new Error(`somebody was in the way of tryLease('${mode}')`);
    if (view) sum += lease.bytes[0] ?? Number.NaN;
    lease.release();
  }
  const tookNs = monotonicNs() - startNs;
  checkRead(sum);
  return tookNs;
}

async function leaseBatch(mapping: Mapping, id: TakeId): Promise<number> {
  const { mode, view } = TAKES[id];
  let sum = 0;
  const startNs = monotonicNs();
  for (let pair = 0; pair < PAIRS_PER_BATCH; pair += 1) {
    const lease: Lease = mode === 'shared' ? await mapping.lease('shared') : await mapping.lease('exclusive');
    if (view) sum += lease.bytes[0] ?? Number.NaN;
    lease.release();
  }
  const tookNs = monotonicNs() - startNs;
  checkRead(sum);
  return tookNs;
}

/** Nobody writes to the mapping: the bytes are 0, and a view that is not there reads as no number. */
function checkRead(sum: number): void {
  if (sum !== 0) throw new Error(`the bytes of a lease add up to ${sum}`);
}
