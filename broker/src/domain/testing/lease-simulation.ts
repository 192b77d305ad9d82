/**
 * One episode: random clients and a broker that comes and goes, all from one seed. It begins with nothing and ends with nothing left,
 * and everything in between is checked after every step.
 */
import { REMOVING } from '@leasehold/shm-core/internal';
import { listLeases, markClean, revokeLease } from '../lease-operations.ts';
import { deleteMapping } from '../mapping-operations.ts';
import type { Session } from '../session.ts';
import { LeaseClient } from './lease-client.ts';
import { LeaseSteps } from './lease-steps.ts';
import { LeaseWorld, settled } from './lease-world.ts';
import type { LockUnderTest } from './lock-under-test.ts';
import { Random } from './random.ts';

const CLIENTS_MAX = 6;
const NAMES = ['m', 'c'];
const ELAPSED_MS = [0, 0.3, 1, 10, 60, 120, 400, 1100, 6000];
/** Episodes in which fencing tokens run out. */
const SCARCE_TOKENS = 0.05;
const TOKENS_LEFT = 3n;
const WAIT_MS_MAX = 120_000;
const QUIET_ROUND_MS = 5000;
const QUIET_ROUNDS_MAX = 200;

export class LeaseSimulation {
  readonly world: LeaseWorld;
  readonly #random: Random;
  #clients: LeaseClient[] = [];
  #admin: Session | null = null;
  readonly #steps: LeaseSteps;
  #rings = 0;
  /** Whether a broker ended whose timers go on. */
  #staleTimers = false;
  /** Whether fencing tokens were made to run out. */
  #scarce = false;

  constructor(seed: number) {
    this.world = new LeaseWorld(seed);
    this.#random = new Random(seed ^ 0x5bd1_e995);
    this.#steps = new LeaseSteps(this.world, this.#random, (rung) => this.#rung(rung));
  }

  async run(steps: number): Promise<void> {
    await this.#startBroker(false);
    for (const { world } = this; world.steps < steps; ) {
      world.steps += 1;
      await this.#step();
      await settled();
      world.check();
      for (const client of this.#clients) client.collect();
    }
    await this.#finish();
  }

  async #step(): Promise<void> {
    const random = this.#random;
    if (random.chance(0.12)) return this.#elapse();
    if (random.chance(0.004)) return this.#changeBroker();
    if (random.chance(0.03)) return this.#administer();
    if (this.#clients.length < CLIENTS_MAX && random.chance(0.05)) return this.#arrive();
    const client = random.pick(this.#clients);
    if (client === undefined) return this.#arrive();
    if (random.chance(0.01)) return this.#depart(client);
    const seat = random.pick(client.seats);
    if (seat !== undefined && random.chance(0.6)) return this.#steps.touch(client, seat);
    if (client.connected) return this.#steps.ask(client, seat ?? null);
  }

  async #elapse(): Promise<void> {
    const ms = this.#random.pick(ELAPSED_MS) ?? 0;
    this.world.log(`${ms} ms pass`);
    await this.world.advance(ms);
    if (this.#random.chance(0.7)) this.#deliverRing();
  }
  #deliverRing(): void {
    const { core, locks, nowNs } = this.world;
    if (this.#rings === 0) return;
    this.#rings = 0;
    this.world.log('the bell of the broker is heard');
    core?.lockReleased();
    if (core !== null) for (const { model } of locks.values()) model.pump(nowNs);
  }
  /** A ring may come at once, later, or never. */
  #rung(rung: boolean): void {
    if (!rung) return;
    this.#rings += 1;
    if (this.#random.chance(0.6)) this.#deliverRing();
    else if (this.#random.chance(0.3)) this.#rings = 0;
  }

  // --- Brokers ---

  async #changeBroker(): Promise<void> {
    if (this.world.core === null) return this.#startBroker(this.#random.chance(0.3));
    if (this.#random.chance(0.5)) this.#crash();
    else await this.#close();
  }

  /** `halfRemoved`: the one before died while it removed a writer. */
  async #startBroker(halfRemoved: boolean): Promise<void> {
    const { world } = this;
    world.log(`broker ${world.epoch} starts${halfRemoved ? ', the last one died in a removal' : ''}`);
    const before = new Map(world.locks);
    const core = world.startBroker();
    this.#admin = world.openSession(core, true);
    for (const name of NAMES) {
      const lock = before.get(name) ?? null;
      const half = halfRemoved && lock?.model.writer != null;
      if (half) {
        lock?.words.lock.storeHolder(REMOVING);
        world.happened.add('the last broker died in a removal');
      }
      const next = await world.create(core, this.#admin, name, lock);
      if (lock === null) this.#newTokens(next);
      else next.model.restart(next.mapping.firstToken, core.tokens.limit, half);
      next.retire(this.#remaining(next));
    }
    world.epoch += 1;
  }
  /** Participants whose processes run, whatever broker they came to. */
  #remaining({ words }: LockUnderTest): Set<bigint> {
    const seats = this.#clients.flatMap((client) => client.seats).filter(({ lock }) => lock.words === words);
    return new Set(seats.map(({ participant }) => participant));
  }
  #newTokens({ words, model }: LockUnderTest): void {
    if (!this.#random.chance(SCARCE_TOKENS)) return;
    const scarce = model.tokenLimit - TOKENS_LEFT;
    words.lock.casFencingToken(words.lock.fencingToken, scarce);
    this.#scarce = true;
    model.newestToken = scarce;
  }

  #crash(): void {
    this.world.log('the broker dies');
    this.world.clock.forgetTimers();
    this.#withoutBroker();
  }
  /** What it was asked is cancelled late, or not; its timers go on. */
  async #close(): Promise<void> {
    this.world.log('the broker ends');
    const calls = this.#clients.flatMap(({ calls }) => calls);
    this.world.core?.close();
    for (const { model } of this.world.locks.values()) model.close(this.world.nowNs);
    this.#staleTimers = true;
    this.#withoutBroker();
    for (const { cancel } of calls) if (this.#random.chance(0.5)) cancel.abort();
    await settled();
  }
  #withoutBroker(): void {
    this.world.core = null;
    this.#admin = null;
    for (const client of this.#clients) client.loseBroker();
    for (const lock of this.world.locks.values()) lock.pending.clear();
    this.world.deleted.clear();
  }

  // --- Administration ---

  async #administer(): Promise<void> {
    const { core, nowNs } = this.world;
    const lock = this.#lock();
    if (core === null || this.#admin === null || lock === null) return;
    const { mapping, model } = lock;
    const kind = this.#random.below(20);
    if (kind < 9) {
      const hold = this.#random.pick([model.writer, ...model.readers.values()]) ?? null;
      if (hold === null) return;
      this.world.log(`revoke ${hold.id.toString(16)}`);
      revokeLease(core, this.#admin, { mappingId: mapping.id, holdId: hold.id });
      model.revoke(hold.id, nowNs);
    } else if (kind < 14) {
      this.world.log(`mark ${lock.name} clean`);
      markClean(core, this.#admin, lock.name);
      model.markClean(model.dirty);
    } else if (kind < 19) {
      listLeases(core, this.#admin, '');
    } else await this.#recreate(lock);
  }

  async #recreate(lock: LockUnderTest): Promise<void> {
    const { world } = this;
    // The broker takes no more tokens for used than a mapping can have used up, so that its successor would begin below these.
    if (world.core === null || this.#admin === null || this.#scarce) return;
    world.log(`delete ${lock.name}, and create it again`);
    world.locks.delete(lock.name);
    world.deleted.add(lock);
    deleteMapping(world.core, this.#admin, lock.name);
    lock.model.delete();
    await settled();
    world.check();
    await world.create(world.core, this.#admin, lock.name, null);
  }

  #lock(): LockUnderTest | null {
    return this.#random.pick([...this.world.locks.values()]) ?? null;
  }

  // --- Clients ---

  async #arrive(): Promise<void> {
    const { core, locks } = this.world;
    if (core === null || this.#clients.length >= CLIENTS_MAX) return;
    const mapsMemory = this.#random.chance(0.75);
    const client = new LeaseClient(this.world, core, mapsMemory);
    this.#clients.push(client);
    this.world.log(`${client.session.name} comes`);
    const lock = locks.get('m');
    if (!mapsMemory || lock === undefined) return;
    await client.attach(lock, 'write');
    if (this.#random.chance(0.5)) await client.attach(lock, 'read');
  }

  async #depart(client: LeaseClient): Promise<void> {
    const { name } = client.session;
    if (client.connected) {
      const acknowledged = this.#random.chance(0.3);
      this.world.log(`${name} ends${acknowledged ? ', and says so' : ''}`);
      await client.end(acknowledged);
      if (!acknowledged && this.#random.chance(0.5)) client.exit();
    } else {
      this.world.log(`${name} is gone`);
      client.exit();
    }
    this.#clients = this.#clients.filter(({ running }) => running);
  }

  // --- The end ---

  /** Nobody does anything any more; whoever waits is answered all the same. Then everybody goes, and nothing is left. */
  async #finish(): Promise<void> {
    const { world } = this;
    world.log('the end begins');
    if (world.core === null) await this.#startBroker(false);
    const waiting = () => [...world.locks.values()].some(({ pending }) => pending.size > 0);
    for (let rounds = 0; rounds < QUIET_ROUNDS_MAX && waiting(); rounds += 1) await world.advance(QUIET_ROUND_MS);
    world.expect(!waiting(), () => 'somebody was never answered');
    for (const client of this.#clients) await this.#leave(client);
    await world.advance(QUIET_ROUND_MS);
    await this.#useEverything();
    if (this.#staleTimers) await world.advance(WAIT_MS_MAX);
    this.#expectNothingLeft();
  }
  async #leave(client: LeaseClient): Promise<void> {
    if (client.connected) await client.end(this.#random.chance(0.5));
    client.exit();
  }

  /** Whoever comes now finds every lock free. */
  async #useEverything(): Promise<void> {
    const { core, locks } = this.world;
    if (core === null) return;
    for (const lock of locks.values()) {
      const client = new LeaseClient(this.world, core, true);
      if (lock.channel) await client.publish(lock, 0);
      else await client.acquire(lock, null, { mode: 'exclusive', ttlMs: 0, waitMs: 0 });
      this.world.check();
      this.world.expect(lock.pending.size === 0, () => `${lock.name} cannot be had although nobody is there`);
      await client.end(true);
      this.world.check();
    }
  }

  #expectNothingLeft(): void {
    const { core, clock, locks } = this.world;
    if (core === null) return;
    const found = {
      sessions: core.sessions.count - 1,
      attachments: this.#admin?.attachments.size,
      mappings: core.registry.all().length - locks.size,
      timers: clock.pendingTimers,
      members: sum([...locks.values()].map(({ mapping }) => mapping.members.size)),
      pages: sum([...locks.values()].map(({ words }) => words.pages.size)),
      holds: sum([...locks.values()].map(({ mapping }) => mapping.lock.held().length)),
      chargedBytes:
        core.quota.chargedBytes - sum([...locks.values()].map(({ mapping }) => mapping.memory.chargedBytes)),
    };
    const left = Object.entries(found).filter(([, count]) => count !== 0);
    this.world.expect(left.length === 0, () => `left at the end: ${left.map(([what, count]) => `${count} ${what}`)}`);
  }
}

const sum = (counts: readonly number[]): number => counts.reduce((total, count) => total + count, 0);
