/** Time, randomness, memory and doorbells that a test owns. The fake memory keeps what a real mapping would be told. */
import type { BrokerMappingSpec, NewParticipant, SegmentGrant } from '@leasehold/shm-core/internal';
import { BrokerCore, type CoreOptions } from '../broker-core.ts';
import { DEFAULT_LIMITS, type Limits } from '../limits.ts';
import { ownerOnly, type Peer } from '../policy.ts';
import type { Clock, MappingMemory, MemorySource, Ports } from '../ports.ts';
import type { Session } from '../session.ts';

const PAGE_BYTES = 4096;

export class FakeClock implements Clock {
  #nowMs = 1_000_000;
  readonly #timers = new Set<{ readonly atMs: number; readonly action: () => void }>();

  nowMs(): number {
    return this.#nowMs;
  }
  get pendingTimers(): number {
    return this.#timers.size;
  }
  after(delayMs: number, action: () => void) {
    const timer = { atMs: this.#nowMs + delayMs, action };
    this.#timers.add(timer);
    return { cancel: () => void this.#timers.delete(timer) };
  }
  advance(ms: number): void {
    this.#nowMs += ms;
    for (const timer of [...this.#timers]) {
      if (timer.atMs > this.#nowMs || !this.#timers.delete(timer)) continue;
      timer.action();
    }
  }
}

/** What a mapping's memory was told, in order. */
export class FakeMapping implements MappingMemory {
  readonly spec: BrokerMappingSpec;
  readonly log: string[] = [];
  readonly joined = new Map<number, NewParticipant>();
  readonly grant: SegmentGrant;
  readonly head: number;
  published: number;
  endMarks = 0;
  finished = false;
  closed = false;
  holdId = 0n;
  /** Makes joins wait until it resolves, or fail. */
  joining: Promise<void> = Promise.resolve();

  constructor(spec: BrokerMappingSpec) {
    this.spec = spec;
    this.head = spec.head ?? 0;
    this.published = this.head;
    const mappedBytes = Math.ceil(spec.payloadBytes / PAGE_BYTES) * PAGE_BYTES;
    const { payloadBytes } = spec;
    this.grant = { payloadBytes, mappedBytes, pageKind: 'base', pageBytes: PAGE_BYTES, fallbackReason: null };
  }
  get chargedBytes(): number {
    return this.grant.mappedBytes + (1 + this.joined.size) * PAGE_BYTES;
  }
  async addParticipant(joining: NewParticipant): Promise<number> {
    await this.joining;
    this.joined.set(joining.index, joining);
    this.log.push(`add ${joining.index}`);
    return Math.min(joining.history, this.published - this.head);
  }
  removeParticipant(index: number): void {
    this.joined.delete(index);
    this.log.push(`remove ${index}`);
  }
  stopWaitingFor(index: number): void {
    this.log.push(`stop waiting ${index}`);
  }
  grantPublisher(holdId: bigint): void {
    this.holdId = holdId;
    this.log.push('grant');
  }
  revokePublisher(): void {
    this.holdId = 0n;
    this.log.push('revoke');
  }
  markDeleted(): void {
    this.log.push('deleted');
  }
  counters(index: number) {
    return this.joined.has(index) ? { taken: 10, lost: 1, dropped: 0 } : null;
  }
  segmentsFor() {
    return [];
  }
  pagesFor() {
    return [];
  }
  close(): void {
    this.closed = true;
  }
}

export class FakeMemory implements MemorySource {
  readonly basePageBytes = PAGE_BYTES;
  readonly mappings: FakeMapping[] = [];
  availableBytes = 2 ** 40;
  /** Makes creations wait until it resolves, or fail. */
  creating: Promise<void> = Promise.resolve();

  async create(spec: BrokerMappingSpec): Promise<FakeMapping> {
    const mapping = new FakeMapping(spec);
    spec.admit(mapping.grant.mappedBytes, 'base', 0);
    await this.creating;
    spec.signal?.throwIfAborted();
    this.mappings.push(mapping);
    return mapping;
  }
  headroom() {
    return { availableBytes: this.availableBytes, detail: `MemAvailable is ${this.availableBytes} B` };
  }
}

export interface FakeWorld {
  readonly core: BrokerCore;
  readonly clock: FakeClock;
  readonly memory: FakeMemory;
  /** `<bell> <participant index>` of every ring. */
  readonly rings: string[];
  /** A session that may map memory; its bell is named after its id. */
  open(peer?: Partial<Peer>): Session;
}

export function fakeWorld(
  options: { limits?: Partial<Limits> } & Partial<Omit<CoreOptions, 'limits'>> = {},
): FakeWorld {
  const clock = new FakeClock();
  const memory = new FakeMemory();
  const rings: string[] = [];
  let counter = 0;
  const ports: Ports = {
    clock,
    memory,
    entropy: {
      randomBytes(count) {
        counter += 1;
        const bytes = new Uint8Array(count);
        new DataView(bytes.buffer).setUint32(0, counter);
        return bytes;
      },
      digest: (secret) => secret.join(),
    },
    doorbells: { ring: (bell, _mappingId, index) => void rings.push(`${bell[15]} ${index}`) },
  };
  const ignore = () => undefined;
  const core = new BrokerCore({
    ports,
    policy: ownerOnly(1000),
    epoch: 3,
    quotaBytes: 2 ** 30,
    reserveBytes: 0,
    observer: {
      sessionOpened: ignore,
      sessionEnded: ignore,
      mappingCreated: ignore,
      mappingDeleted: ignore,
      publisherPromoted: ignore,
    },
    ...options,
    limits: { ...DEFAULT_LIMITS, ...options.limits },
  });
  let sessions = 0;
  return {
    core,
    clock,
    memory,
    rings,
    open(peer = {}) {
      sessions += 1;
      const bell = new Uint8Array(16);
      bell[15] = sessions;
      return core.openSession({ pid: sessions, uid: 1000, gid: 1000, groups: [], ...peer }, 'test', bell).session;
    },
  };
}
