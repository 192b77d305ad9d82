/**
 * What the domain is given: time, randomness, memory and doorbells. It asks for these and for nothing else, so that a test owns
 * them all.
 */
import type { BrokerMapping, BrokerMappingSpec } from '@leasehold/shm-core/internal';

export interface Timer {
  cancel(): void;
}

export interface Clock {
  /** Wall clock, ms since 1970. */
  nowMs(): number;
  /** CLOCK_MONOTONIC, ns: the clock of deadlines in shared memory. */
  nowNs(): number;
  /** Runs `action` once, later. Does not keep the program alive. */
  after(delayMs: number, action: () => void): Timer;
}

export interface Entropy {
  randomBytes(count: number): Uint8Array;
  /** A collision-resistant digest, as text. */
  digest(secret: Uint8Array): string;
}

/** A mapping's memory, as far as the domain uses it. */
export type MappingMemory = Pick<
  BrokerMapping,
  | 'addParticipant'
  | 'chargedBytes'
  | 'close'
  | 'counters'
  | 'grant'
  | 'grow'
  | 'lock'
  | 'mappedBytesFor'
  | 'markDeleted'
  | 'pagesFor'
  | 'published'
  | 'endMarks'
  | 'finished'
  | 'participant'
  | 'participants'
  | 'removeParticipant'
  | 'segmentsFor'
  | 'setPublisherBell'
  | 'shrink'
  | 'stopWaitingFor'
>;

/** What the machine and the control group can still give. */
export interface Headroom {
  readonly availableBytes: number;
  /** For people: where the figure comes from. */
  readonly detail: string;
}

export interface MemorySource {
  readonly basePageBytes: number;
  /** @throws LeaseholdError; what `admit` throws. Nothing is left behind then. */
  create(spec: BrokerMappingSpec): Promise<MappingMemory>;
  headroom(): Headroom;
  /** Memory of the machine that was promised, and that `headroom` still counts, B. */
  readonly unpopulatedBytes: number;
  /** Memory, large pages too, that somebody is waiting for, B. */
  readonly promisedBytes: number;
}

export interface Doorbells {
  /** Wakes a session. Never blocks, never fails. */
  ring(bell: Uint8Array, mappingId: bigint, participantIndex: number): void;
}

export interface Ports {
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly memory: MemorySource;
  readonly doorbells: Doorbells;
}
