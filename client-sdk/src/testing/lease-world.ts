/** One mapping, its broker and any number of processes with seats, all in this process: real memory, real lock, virtual time. */
import { LeaseholdError } from '@leasehold/proto';
import {
  AttachedMapping,
  BrokerMapping,
  type ClaimedPage,
  createLinuxSegmentOs,
  type GrantedSegment,
  holdIndex,
  LockArbiter,
  type LockMode,
  mapPage,
  type OwnedFd,
  type ReceivedSegment,
  type RemovalReason,
  SegmentAllocator,
  type SegmentOs,
} from '@leasehold/shm-core/internal';
import type { Lease } from '../lease.ts';
import type { LeaseBroker, LeaseRequest } from '../lease-broker.ts';
import { LeaseClock } from '../lease-clock.ts';
import { LeasePages } from '../lease-pages.ts';
import { LeaseQueue } from '../lease-queue.ts';
import { LeaseSeat } from '../lease-seat.ts';
import type { LeaseWish } from '../lease-waiter.ts';
import { settled, VirtualTime } from './virtual-time.ts';

const NS_PER_MS = 1e6;
const PAYLOAD_BYTES = 4096;
export const TERMS = { defaultTtlMs: 5_000, minTtlMs: 100, maxTtlMs: 60_000, tokenLimit: 1_000n };

export const TTL_NS = TERMS.defaultTtlMs * NS_PER_MS;

/** A process's place, with what it knows of its session. */
export interface WorldSeat {
  readonly seat: LeaseSeat;
  readonly queue: LeaseQueue;
  readonly clock: LeaseClock;
  readonly index: number;
}

export class LeaseWorld {
  readonly time = new VirtualTime();
  readonly memory: BrokerMapping;
  /** What the broker was asked, by name. */
  readonly asked: string[] = [];
  /** No wait is longer than that, ms. */
  waitMsMax = Number.POSITIVE_INFINITY;
  /** Requests reach the broker when this is resolved. */
  requests: Promise<void> | null = null;
  /** The broker does not answer withdrawals until this is resolved. */
  withdrawals: Promise<void> = Promise.resolve();
  /** What the next requests are refused with. */
  readonly refusals: LeaseholdError[] = [];
  brokerLost: LeaseholdError | null = null;
  readonly #os: SegmentOs;
  readonly #arbiter: LockArbiter;
  readonly #served = new Map<bigint, (token: bigint) => void>();
  readonly #clocks = new Map<number, LeaseClock>();
  #generation = 0;

  private constructor(os: SegmentOs, memory: BrokerMapping) {
    this.#os = os;
    this.memory = memory;
    this.#arbiter = new LockArbiter({
      lock: memory.lock,
      nowNs: this.time.nowNs,
      tokenLimit: TERMS.tokenLimit,
      participants: () => memory.participants(),
      participant: (index) => memory.participant(index),
      isLiving: () => true,
      onServed: ({ id }, grant) => this.#served.get(id)?.(grant?.fencingToken ?? 0n),
      onRemoved: ({ id }) => this.#clocks.get(holdIndex(id))?.look(),
    });
  }

  static async create(): Promise<LeaseWorld> {
    const os = createLinuxSegmentOs();
    const memory = await BrokerMapping.create(os, new SegmentAllocator(os), {
      id: 7n,
      label: 'test',
      payloadBytes: PAYLOAD_BYTES,
      pages: 'never',
      maxParticipants: 16,
      brokerBell: new Uint8Array(16).fill(1),
      admit: () => undefined,
    });
    return new LeaseWorld(os, memory);
  }

  /** The first process that has a seat of that mode, or another one. */
  async seat(mode: LockMode, index: number): Promise<WorldSeat> {
    this.#generation += 1;
    const generation = this.#generation;
    const bell = new Uint8Array(16);
    await this.memory.addParticipant({ index, generation, bell, counted: false, maxPins: 0, history: 0 });
    const granted = this.memory.segmentsFor(mode === 'exclusive' ? 'write' : 'read', index);
    const mapping = new AttachedMapping(this.#os, 7n, granted.map(received));
    const clock = new LeaseClock(this.time);
    this.#clocks.set(index, clock);
    const fetchPages = async (indices: readonly number[]): Promise<ClaimedPage[]> => {
      this.asked.push('pages');
      return this.memory
        .pagesFor(indices)
        .map((page) => ({ ...mapPage(this.#os, received(page)), ring: () => undefined }));
    };
    const seat = new LeaseSeat({
      name: 'table',
      mode,
      mapping,
      terms: TERMS,
      clock,
      broker: this.#brokerFor(index),
      pages: mode === 'exclusive' ? new LeasePages(mapping.lock, index, fetchPages) : null,
    });
    return { seat, queue: new LeaseQueue(seat, () => undefined), clock, index };
  }

  #brokerFor(index: number): LeaseBroker {
    const lost = (): LeaseholdError | null => this.brokerLost;
    return {
      get lost() {
        return lost();
      },
      get gone() {
        return lost() !== null;
      },
      ring: () => {
        if (this.brokerLost === null) this.#arbiter.pump();
      },
      acquire: (request, signal) => this.#acquire(index, request, signal),
      settled: () => void this.asked.push('settled'),
      withdraw: async (holdId) => {
        this.asked.push('withdraw');
        await this.withdrawals;
        this.#arbiter.cancel(holdId);
      },
    };
  }

  async #acquire(index: number, { mode, holdId, ttlMs, waitMs }: LeaseRequest, signal: AbortSignal): Promise<bigint> {
    this.asked.push(`${mode}, wait ${waitMs}, ttl ${ttlMs}`);
    const refusal = this.refusals.shift();
    if (refusal !== undefined) throw refusal;
    if (this.requests !== null) await this.requests;
    const participant = this.memory.participant(index);
    if (participant === undefined) throw new Error(`no participant ${index}`);
    const { promise, resolve, reject } = Promise.withResolvers<bigint>();
    this.#served.set(holdId, resolve);
    signal.addEventListener('abort', () => reject(new LeaseholdError('ABORTED', 'aborted')));
    this.#arbiter.request({ participant, id: holdId, mode, ttlNs: ttlMs * NS_PER_MS });
    const code = waitMs === 0 ? 'LEASE_HELD' : 'LEASE_TIMEOUT';
    const over = this.time.after(Math.min(waitMs, this.waitMsMax), () => {
      this.#arbiter.cancel(holdId);
      reject(new LeaseholdError(code, `waited ${waitMs} ms`));
    });
    return promise.finally(over);
  }

  /** What the broker's timer does. */
  pump(): void {
    this.#arbiter.pump();
  }
  /** How many wait at the broker. */
  get waiting(): number {
    return this.#arbiter.queue.length;
  }
  revoke(id: bigint, reason: RemovalReason = 'REVOKED'): boolean {
    return this.#arbiter.revoke(id, reason);
  }
  /** Holds, as memory shows them. */
  get holds(): string[] {
    return this.#arbiter.holds().map(({ id, mode }) => `${mode} ${holdIndex(id)}`);
  }
  holdOf(index: number): bigint {
    return this.#arbiter.holds().find(({ id }) => holdIndex(id) === index)?.id ?? 0n;
  }
}

/** A wish with what tests leave out. */
export const wish = (more: Partial<LeaseWish> = {}): LeaseWish => ({
  ttlNs: TERMS.defaultTtlMs * NS_PER_MS,
  auto: true,
  waitMs: 1_000,
  maxTries: 3,
  signal: undefined,
  ...more,
});

interface WorldOfTwo {
  readonly world: LeaseWorld;
  readonly mine: WorldSeat;
  readonly other: WorldSeat;
}

/** A lease of it, now. */
export function taken({ queue }: WorldSeat): Lease {
  const lease = queue.tryTake(TTL_NS, true);
  if (lease === null) throw new Error('the lock is not free');
  return lease;
}

/** What a wait has come to by now. */
export async function stateOf(waiting: Promise<unknown>): Promise<string> {
  let state = 'waits';
  waiting.then(
    () => {
      state = 'granted';
    },
    (error: LeaseholdError) => {
      state = error.code;
    },
  );
  await settled();
  return state;
}

/** Two processes that write, and have each other's pages. */
export async function writers(): Promise<WorldOfTwo> {
  const world = await LeaseWorld.create();
  const [mine, other] = [await world.seat('exclusive', 0), await world.seat('exclusive', 1)];
  for (const { seat } of [mine, other]) await seat.pages?.prepare();
  world.asked.length = 0;
  return { world, mine, other };
}

/** One that reads, another that writes. */
export async function readerAndWriter(): Promise<WorldOfTwo> {
  const world = await LeaseWorld.create();
  const [mine, other] = [await world.seat('shared', 0), await world.seat('exclusive', 1)];
  await other.seat.pages?.prepare();
  return { world, mine, other };
}

/** The mapping's own descriptor, which whoever maps it does not close. */
function received({
  fd,
  participantIndex = -1,
  participantGeneration = -1,
  ...granted
}: GrantedSegment): ReceivedSegment {
  const kept: OwnedFd = {
    get raw() {
      return fd.raw;
    },
    closed: false,
    close: () => undefined,
    closeInBackground: async () => undefined,
    [Symbol.dispose]: () => undefined,
  };
  return { ...granted, fd: kept, participantIndex, participantGeneration };
}
