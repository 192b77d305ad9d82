/**
 * A broker, its successors, and the locks of a few mappings in virtual time, each beside the model of what it should be. `check` holds
 * words, answers and removals to the models after every step; what differs is thrown, with the last steps before it.
 */

import type { RemovalReason } from '@leasehold/shm-core/internal';
import { BrokerCore } from '../broker-core.ts';
import { createChannel } from '../channel-operations.ts';
import { DEFAULT_LIMITS } from '../limits.ts';
import { createMapping } from '../mapping-operations.ts';
import type { OwnedMapping } from '../owned-mapping.ts';
import { ownerOnly } from '../policy.ts';
import { quotaLimits } from '../quota-limits.ts';
import type { Session } from '../session.ts';
import { type Answer, LeaseModel, participantOf } from './lease-model.ts';
import { hex, LockUnderTest, type Pending, type Removal } from './lock-under-test.ts';
import { Random } from './random.ts';
import { SurvivingMemory, type SurvivingWords } from './surviving-memory.ts';
import { VirtualClock } from './virtual-clock.ts';

/** How long a free lock may go unnoticed: whoever released it may have been stopped before ringing. */
const LOOK_AGAIN_NS = 1001n * 1_000_000n;
const TRACE_LENGTH = 40;
const UID = 1000;

export const settled = async (): Promise<void> => {
  for (let turn = 0; turn < 24; turn += 1) await null;
};

export class LeaseWorld {
  readonly random: Random;
  readonly clock = new VirtualClock();
  readonly memory = new SurvivingMemory();
  readonly maxParticipants = 12;
  epoch = 1;
  /** Null while there is no broker. */
  core: BrokerCore | null = null;
  /** By name, those that were not deleted; and those that were, while somebody has them. */
  readonly locks = new Map<string, LockUnderTest>();
  readonly deleted = new Set<LockUnderTest>();
  /** What kinds of things came about. */
  readonly happened = new Set<string>();
  /** The newest token that a writer was given, by name: brokers come and go, and mappings too. */
  readonly #newestTokens = new Map<string, bigint>();
  /** What a new broker removes of what it found, it tells before its mapping is known here. */
  readonly #toldEarly: Removal[] = [];
  readonly #toldOwners: string[] = [];
  readonly #trace: string[] = [];
  #sessions = 0;
  steps = 0;

  constructor(seed: number) {
    this.random = new Random(seed);
  }

  get nowNs(): bigint {
    return BigInt(this.clock.nowNs());
  }
  log(line: string): void {
    this.#trace.push(line);
    if (this.#trace.length > TRACE_LENGTH) this.#trace.shift();
  }
  fail(problem: string): never {
    throw new Error(
      `${problem}\nstep ${this.steps}, at ${this.clock.nowMs()} ms, after:\n  ${this.#trace.join('\n  ')}`,
    );
  }
  expect(condition: boolean, problem: () => string): void {
    if (!condition) this.fail(problem());
  }

  /** A writer of the mapping of that name has been given a token. */
  used(name: string, token: bigint): void {
    const newest = this.#newestTokens.get(name) ?? 0n;
    this.expect(token > newest, () => `${name}: token ${token} was given after ${newest}`);
    this.#newestTokens.set(name, token);
  }

  openSession(core: BrokerCore, canMap: boolean): Session {
    this.#sessions += 1;
    const bell = new Uint8Array(16).fill(this.#sessions & 255);
    const peer = { pid: this.#sessions, uid: UID, gid: UID, groups: [] };
    return core.openSession(peer, `client ${this.#sessions}`, canMap ? bell : null).session;
  }

  startBroker(): BrokerCore {
    const ignore = () => undefined;
    let secrets = 0;
    const core = new BrokerCore({
      ports: {
        clock: this.clock,
        memory: this.memory,
        entropy: {
          randomBytes: (count) => {
            secrets += 1;
            const bytes = new Uint8Array(count);
            new DataView(bytes.buffer).setUint32(0, secrets);
            return bytes;
          },
          digest: (secret) => secret.join(),
        },
        doorbells: { ring: ignore },
      },
      policy: ownerOnly(UID),
      limits: DEFAULT_LIMITS,
      epoch: this.epoch,
      quotas: quotaLimits(2 ** 30),
      reserveBytes: 0,
      brokerBell: new Uint8Array(16).fill(255),
      observer: {
        sessionOpened: ignore,
        sessionEnded: ignore,
        mappingCreated: ignore,
        mappingDeleted: ignore,
        leaseRemoved: (mapping, hold, reason) => this.#told(mapping, { ...hold, reason }),
        publisherPromoted: ignore,
      },
    });
    this.core = core;
    return core;
  }

  #told(mapping: OwnedMapping, removal: Removal): void {
    (this.lockOf(mapping)?.removed ?? this.#toldEarly).push(removal);
  }
  /** A session was told that its lease is lost. */
  lost(holdId: bigint, reason: RemovalReason): void {
    this.#toldOwners.push(`${hex(holdId)} ${reason}`);
  }
  lockOf(mapping: OwnedMapping): LockUnderTest | null {
    for (const lock of this.locks.values()) if (lock.mapping === mapping) return lock;
    for (const lock of this.deleted) if (lock.mapping === mapping) return lock;
    return null;
  }

  /** The one that the newest broker made of these words. */
  lockOn(words: SurvivingWords): LockUnderTest | null {
    return [...this.locks.values()].find((lock) => lock.words === words) ?? null;
  }

  /** Creates a mapping or channel, on the words of `before` when there are some. */
  async create(core: BrokerCore, owner: Session, name: string, before: LockUnderTest | null): Promise<LockUnderTest> {
    if (before !== null) this.memory.found.push(before.words);
    const mapping = name.startsWith('c')
      ? await this.#channel(core, owner, name)
      : await this.#plain(core, owner, name);
    const model = before?.model ?? new LeaseModel(mapping.firstToken, core.tokens.limit);
    const lock = new LockUnderTest(mapping, this.memory.latest, model);
    lock.removed.push(...this.#toldEarly.splice(0));
    this.locks.set(name, lock);
    return lock;
  }

  async #plain(core: BrokerCore, owner: Session, name: string): Promise<OwnedMapping> {
    const { maxParticipants } = this;
    const memory = { sizeBytes: 4096n, reserveBytes: 0n, locked: false, numaNode: null } as const;
    const request = { name, ...memory, pages: 'never', lifetime: 'persistent', maxParticipants } as const;
    const signal = new AbortController().signal;
    return (await createMapping(core, owner, request, { ifExists: 'fail', signal })).mapping;
  }

  async #channel(core: BrokerCore, owner: Session, name: string): Promise<OwnedMapping> {
    const format = { fourcc: '', width: 0, height: 0, strideBytes: 0, frameRateNumerator: 0, frameRateDenominator: 0 };
    const request = {
      name,
      pages: 'never',
      lifetime: 'persistent',
      maxParticipants: this.maxParticipants,
      slotBytes: 100n,
      slots: 8,
      overflow: 'overwrite',
      blockBound: 'timeout',
      blockTimeoutMs: 0,
      maxLoans: 1,
      firstSequence: 1n,
      locked: false,
      numaNode: null,
      format: { ...format, attributes: {} },
    } as const;
    const signal = new AbortController().signal;
    return (await createChannel(core, owner, request, { ifExists: 'fail', signal })).channel;
  }

  /** Lets virtual time pass; whatever a timer brings about is checked before the next one runs. */
  async advance(ms: number): Promise<void> {
    const untilNs = this.clock.nowNs() + Math.round(ms * 1e6);
    while (this.clock.step(untilNs)) {
      await settled();
      this.check();
    }
    this.check();
  }

  /** Everything as it should be? */
  check(): void {
    for (const lock of this.locks.values()) this.#checkLock(lock);
    for (const lock of this.deleted) this.#checkLock(lock);
  }

  #checkLock(lock: LockUnderTest): void {
    for (const call of lock.pending.values()) {
      const { outcome, id, waitUntilNs } = call;
      if (outcome?.kind !== 'failed' || outcome.code !== 'LEASE_TIMEOUT') continue;
      this.expect(this.nowNs >= waitUntilNs, () => `${lock.name}: ${hex(id)} timed out too early`);
      lock.model.cancel(id, this.nowNs);
      lock.pending.delete(id);
      this.happened.add(`${call.mode} timed out`);
    }
    let difference = lock.difference(this.core !== null);
    if (this.core !== null && (difference !== null || lock.removed.length > lock.model.removals.length)) {
      // The broker may look at any time.
      lock.model.pump(this.nowNs);
      difference = lock.difference(this.core !== null);
    }
    this.expect(difference === null, () => `${lock.name}: ${difference}`);
    this.#checkRemovals(lock);
    this.#checkAnswers(lock);
    this.#checkProgress(lock);
  }

  #checkRemovals(lock: LockUnderTest): void {
    const { name, removed, model } = lock;
    if (removed.length === 0 && model.removals.length === 0) return;
    const should = model.removals.splice(0);
    const [got, expected] = [removalLine(removed.splice(0)), removalLine(should)];
    this.expect(got === expected, () => `${name}: removed were ${got}, should have been ${expected}`);
    for (const { id, mode, reason } of should) {
      this.happened.add(`${mode} removed: ${reason}`);
      const at = this.#toldOwners.indexOf(`${hex(id)} ${reason}`);
      this.expect(
        at >= 0 === lock.canBeTold(id),
        () => `${name}: the owner of ${hex(id)} was ${at < 0 ? 'not ' : ''}told`,
      );
      if (at >= 0) this.#toldOwners.splice(at, 1);
      // A publisher that has lost its lease has lost its place.
      if (lock.channel) model.end(participantOf(id), 'OWNER_DIED', this.nowNs);
    }
  }

  /** Whoever is answered in the model is answered, once and with the same; nobody else is. */
  #checkAnswers(lock: LockUnderTest): void {
    for (const call of [...lock.pending.values()]) {
      const answer = lock.model.answers.get(call.id) ?? null;
      if (answer === null && call.outcome === null) continue;
      const [got, should] = [describe(call.outcome), describe(answer)];
      this.expect(got === should, () => `${lock.name}: ${hex(call.id)} was told ${got}, should be ${should}`);
      if (answer !== null) this.happened.add(happening(lock.channel ? 'publisher' : call.mode, answer));
      if (answer?.kind === 'granted' && call.mode === 'exclusive') this.used(lock.name, answer.fencingToken);
      // A publisher that cannot have the lease has lost its place.
      if (lock.channel && answer?.kind !== 'granted') lock.model.end(participantOf(call.id), 'OWNER_DIED', this.nowNs);
      lock.pending.delete(call.id);
      lock.model.answers.delete(call.id);
    }
    if (lock.model.answers.size > 0) this.fail(`${lock.name}: nobody waited for an answer that came`);
  }

  #checkProgress(lock: LockUnderTest): void {
    if (this.core === null || !lock.model.headIsFree(this.nowNs)) lock.freeSinceNs = null;
    else lock.freeSinceNs ??= this.nowNs;
    const since = lock.freeSinceNs ?? this.nowNs;
    if (since < this.nowNs) this.happened.add('somebody waits while the bell is not heard');
    this.expect(this.nowNs - since <= LOOK_AGAIN_NS, () => `${lock.name}: nobody is in the way since ${since} ns`);
  }
}

const removalLine = (removals: readonly Removal[]): string =>
  removals
    .map(({ id, mode, reason }) => `${mode} ${hex(id)} ${reason}`)
    .sort()
    .join(', ');

const CODES = {
  'tokens-exhausted': 'TOKENS_EXHAUSTED',
  'participant-ended': 'LEASE_LOST',
  deleted: 'MAPPING_DELETED',
  'taken-back': 'ABORTED',
} as const;

function describe(outcome: Pending['outcome']): string {
  if (outcome === null) return 'nothing';
  if (outcome.kind === 'failed') return outcome.code;
  if (outcome.kind !== 'granted') return CODES[outcome.kind];
  return `granted with token ${outcome.fencingToken}, dirty ${hex(outcome.dirty)}`;
}

function happening(who: string, answer: Answer): string {
  if (answer.kind !== 'granted') return `${who} not granted: ${answer.kind}`;
  return answer.dirty === 0n ? `${who} granted` : `${who} granted, dirty`;
}
