/** The real time, randomness and memory that a broker gives its domain. Owns nothing but the allocator. */
import { createHash, randomBytes } from 'node:crypto';
import {
  BrokerMapping,
  createLinuxSegmentOs,
  memoryHeadroomBytes,
  monotonicNs,
  SegmentAllocator,
} from '@leasehold/shm-core/internal';
import type { Clock, Entropy, MemorySource } from './domain/ports.ts';

/** Node takes longer delays for none at all. */
const TIMER_MS_MAX = 2 ** 31 - 1;

export const systemClock: Clock = {
  nowMs: () => Date.now(),
  nowNs: monotonicNs,
  after(delayMs, action) {
    const timer = setTimeout(action, Math.min(delayMs, TIMER_MS_MAX)).unref();
    return { cancel: () => clearTimeout(timer) };
  },
};

export const systemEntropy: Entropy = {
  randomBytes: (count) => new Uint8Array(randomBytes(count)),
  digest: (secret) => createHash('sha256').update(secret).digest('base64'),
};

/** With `never` nobody gets large pages, whatever they ask for. */
export function linuxMemory(largePages: 'auto' | 'never' = 'auto'): MemorySource {
  const os = createLinuxSegmentOs();
  const allocator = new SegmentAllocator(os, { largePages });
  return {
    basePageBytes: os.basePageBytes,
    create: (spec) => BrokerMapping.create(os, allocator, spec),
    headroom: () => memoryHeadroomBytes(),
    get unpopulatedBytes() {
      return allocator.unpopulatedBytes;
    },
    get promisedBytes() {
      return allocator.promisedBytes;
    },
  };
}
