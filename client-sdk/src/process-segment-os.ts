/**
 * The memory of this process. The one piece of state that outlives a session: address ranges that were ever viewed are kept for
 * reuse, and addresses belong to the process.
 */
import { createLinuxSegmentOs, type SegmentOs } from '@leasehold/shm-core/internal';

let shared: SegmentOs | undefined;

export function processSegmentOs(): SegmentOs {
  shared ??= createLinuxSegmentOs();
  return shared;
}
