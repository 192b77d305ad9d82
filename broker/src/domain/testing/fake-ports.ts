/** Time, randomness, memory and doorbells that a test owns. The fake memory keeps what a real mapping would be told. */
import {
  type BrokerMappingSpec,
  LockSegment,
  type MappedRange,
  type NewParticipant,
  ParticipantPage,
  type SegmentGrant,
} from '@leasehold/shm-core/internal';
import { BrokerCore, type CoreOptions } from '../broker-core.ts';
import { DEFAULT_LIMITS, type Limits } from '../limits.ts';
import { ownerOnly, type Peer } from '../policy.ts';
import type { Clock, MappingMemory, MemorySource, Ports } from '../ports.ts';
import { type QuotaSettings, quotaLimits } from '../quota-limits.ts';
import type { Session } from '../session.ts';

const PAGE_BYTES = 4096;

export class FakeClock implements Clock {
  #nowMs = 1_000_000;
  /** What somebody has set the wall clock forward, ms. */
  wallOffsetMs = 0;
  readonly #timers = new Set<{ readonly atMs: number; readonly action: () => void }>();

  nowMs(): number {
    return this.#nowMs + this.wallOffsetMs;
  }
  nowNs(): number {
    return this.#nowMs * 1e6;
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

/** A page of zeroed memory, as far as control words go. */
const zeroedPage = (): MappedRange =>
  ({ words32: () => new Uint32Array(PAGE_BYTES / 4) }) satisfies Pick<MappedRange, 'words32'> as unknown as MappedRange;

/** What a mapping's memory was told, in order. Its lock words and participant pages are real. */
export class FakeMapping implements MappingMemory {
  readonly spec: BrokerMappingSpec;
  readonly log: string[] = [];
  readonly joined = new Map<number, NewParticipant>();
  grant: SegmentGrant;
  readonly head: number;
  published: number;
  endMarks = 0;
  finished = false;
  closed = false;
  readonly lock = new LockSegment(zeroedPage());
  readonly #pages = new Map<number, ParticipantPage>();
  /** Makes joins wait until it resolves, or fail. */
  joining: Promise<void> = Promise.resolve();
  /** Makes changes of its size wait until it resolves, or fail. */
  resizing: Promise<void> = Promise.resolve();

  constructor(spec: BrokerMappingSpec) {
    this.spec = spec;
    this.head = spec.head ?? 0;
    this.published = this.head;
    const { payloadBytes, reserveBytes = 0, locked = false } = spec;
    const mappedBytes = this.mappedBytesFor(payloadBytes);
    const reservedBytes = Math.max(mappedBytes, this.mappedBytesFor(reserveBytes));
    const asked = { fallbackReason: null, stepDowns: [], locked, numa: null };
    this.grant = { payloadBytes, mappedBytes, reservedBytes, pageKind: 'base', pageBytes: PAGE_BYTES, ...asked };
  }
  mappedBytesFor(payloadBytes: number): number {
    return Math.ceil(payloadBytes / PAGE_BYTES) * PAGE_BYTES;
  }
  async grow(payloadBytes: number, signal?: AbortSignal): Promise<void> {
    await this.resizing;
    signal?.throwIfAborted();
    this.grant = { ...this.grant, payloadBytes, mappedBytes: this.mappedBytesFor(payloadBytes) };
  }
  async shrink(payloadBytes: number): Promise<void> {
    await this.resizing;
    this.grant = { ...this.grant, payloadBytes, mappedBytes: this.mappedBytesFor(payloadBytes) };
  }
  get chargedBytes(): number {
    return this.grant.mappedBytes + (1 + this.joined.size) * PAGE_BYTES;
  }
  async addParticipant(joining: NewParticipant): Promise<number> {
    await this.joining;
    this.joined.set(joining.index, joining);
    this.#pages.set(joining.index, new ParticipantPage(zeroedPage()));
    this.log.push(`add ${joining.index}`);
    return Math.min(joining.history, this.published - this.head);
  }
  removeParticipant(index: number): void {
    this.joined.delete(index);
    this.#pages.delete(index);
    this.log.push(`remove ${index}`);
  }
  stopWaitingFor(index: number): void {
    this.log.push(`stop waiting ${index}`);
  }
  participant(index: number) {
    const page = this.#pages.get(index);
    const generation = this.joined.get(index)?.generation;
    return page === undefined || generation === undefined ? undefined : { index, generation, page };
  }
  *participants() {
    for (const index of this.#pages.keys()) {
      const participant = this.participant(index);
      if (participant !== undefined) yield participant;
    }
  }
  setPublisherBell(bell: Uint8Array | null): void {
    this.log.push(bell === null ? 'no bell' : `bell ${bell[15]}`);
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
  unpopulatedBytes = 0;
  promisedBytes = 0;
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
  options: { limits?: Partial<Limits>; quotas?: QuotaSettings } & Partial<Omit<CoreOptions, 'limits' | 'quotas'>> = {},
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
    reserveBytes: 0,
    brokerBell: new Uint8Array(16).fill(255),
    observer: {
      sessionOpened: ignore,
      sessionEnded: ignore,
      mappingCreated: ignore,
      mappingDeleted: ignore,
      leaseRemoved: ignore,
      publisherPromoted: ignore,
    },
    ...options,
    limits: { ...DEFAULT_LIMITS, ...options.limits },
    quotas: quotaLimits(2 ** 30, options.quotas),
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
