/** What leases ask of the broker, for one participant of one mapping. */
import type { LeaseholdError } from '@leasehold/proto';
import type { LockMode } from '@leasehold/shm-core/internal';

export interface LeaseBroker {
  /** Why there is none any more; null while there is. */
  readonly lost: LeaseholdError | null;
  /** Whether it is dead, and not only this session over: nobody hears its bell. Asked only once it is lost. */
  readonly gone: boolean;
  /** The broker looks at the lock. Never blocks, never throws. */
  ring(): void;
  /**
   * Queues for the lock under `holdId`. @returns the fencing token of the grant.
   * @throws LeaseholdError LEASE_TIMEOUT, LEASE_HELD (`waitMs` 0), MAPPING_DELETED, TOKENS_EXHAUSTED, BROKER_LOST, ABORTED by `signal`, …
   */
  acquire(request: LeaseRequest, signal: AbortSignal): Promise<bigint>;
  /** Nothing is touched any more under a hold that was taken away. Never throws; nothing waits for it. */
  settled(holdId: bigint): void;
  /** Whatever has become of that request: it is dropped, or its hold released. @throws LeaseholdError when the broker did not answer. */
  withdraw(holdId: bigint): Promise<void>;
}

export interface LeaseRequest {
  readonly mode: LockMode;
  readonly holdId: bigint;
  readonly ttlMs: number;
  /** 0 = do not wait. */
  readonly waitMs: number;
}
