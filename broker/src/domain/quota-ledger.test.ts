/** The whole domain under tight quotas and random users: whatever they do, what is charged is what is there, and nothing remains. */
import { LeaseholdError } from '@leasehold/proto';
import { describe, expect, it } from 'vitest';
import { openPublisher } from './channel-operations.ts';
import { releaseLease } from './lease-operations.ts';
import {
  type Attached,
  attachMapping,
  claimTicket,
  createMapping,
  deleteMapping,
  detachMapping,
} from './mapping-operations.ts';
import { type Amounts, QUOTA_DIMENSIONS } from './quotas.ts';
import { resizeMapping } from './resize-operations.ts';
import type { Session } from './session.ts';
import { channel, settled, subscribe } from './testing/channel-world.ts';
import { type FakeWorld, fakeWorld } from './testing/fake-ports.ts';
import { acquire } from './testing/leases.ts';
import { Random } from './testing/random.ts';

const PAGE = 4096;
const RUNS = 24;
const STEPS = 600;
const UIDS = [0, 1000];
const NAMES = ['a', 'b', 'c'];
/** Each is reached now and then. */
const QUOTAS = {
  total: {
    bytes: 50 * PAGE,
    reservedBytes: 120 * PAGE,
    mappings: 4,
    sessions: 7,
    leases: 3,
    participants: 8,
    descriptors: 22,
  },
  perUser: {
    bytes: 40 * PAGE,
    reservedBytes: 95 * PAGE,
    mappings: 3,
    sessions: 5,
    leases: 2,
    participants: 5,
    descriptors: 15,
  },
};
const DIMENSIONS = Object.keys(QUOTAS.total);

class RandomUsers {
  readonly world: FakeWorld = fakeWorld({ quotas: QUOTAS });
  readonly refused = new Set<string>();
  readonly #random: Random;
  readonly #sessions: Session[] = [];
  /** Ended without a word; their processes live. */
  readonly #lost: Session[] = [];
  readonly #leases: { session: Session; name: string; mappingId: bigint; holdId: bigint }[] = [];

  constructor(seed: number) {
    this.#random = new Random(seed);
  }

  step(): void {
    const session = this.#random.pick(this.#sessions);
    if (session === undefined || this.#random.chance(0.08)) {
      this.#attempt(async () => this.#open());
      return;
    }
    const name = this.#random.pick(NAMES) ?? '';
    const act = this.#random.weighted([
      { weight: 4, choice: () => this.#create(session, name) },
      { weight: 2, choice: async () => deleteMapping(this.world.core, session, name) },
      { weight: 6, choice: () => this.#attach(session, name) },
      { weight: 3, choice: async () => this.#detach(session) },
      { weight: 5, choice: () => this.#resize(session, name) },
      { weight: 6, choice: () => this.#acquire(session, name) },
      { weight: 4, choice: async () => this.#release() },
      { weight: 2, choice: () => channel(this.world, session, { name, lifetime: 'last-attachment' }) },
      { weight: 4, choice: async () => this.#publish(session, name) },
      { weight: 2, choice: () => subscribe(this.world, session, { name }) },
      { weight: 2, choice: async () => this.#end(session) },
      { weight: 1, choice: async () => this.world.clock.advance(this.#random.below(20_000)) },
    ]);
    if (act !== undefined) this.#attempt(act);
  }

  /** What is refused is as it should be; a defect is not. */
  #attempt(act: () => Promise<unknown>): void {
    act().catch((error: unknown) => {
      if (!(error instanceof LeaseholdError) || error.code === 'INTERNAL') throw error;
      const { quota, whose } = error.metadata;
      if (quota !== undefined) this.refused.add(`${quota} ${whose === 'broker' ? 'total' : 'perUser'}`);
    });
  }

  #open(): void {
    this.#sessions.push(this.world.open({ uid: this.#random.pick(UIDS) ?? 0 }));
  }

  #create(session: Session, name: string): Promise<unknown> {
    const sizeBytes = BigInt(1 + this.#random.below(20 * PAGE));
    const reserveBytes = this.#random.chance(0.7) ? BigInt(this.#random.below(80 * PAGE)) : 0n;
    const lifetime = this.#random.chance(0.5) ? 'persistent' : 'last-attachment';
    const common = { name, lifetime, maxParticipants: 6, pages: 'never', locked: false, numaNode: null } as const;
    const signal = this.#random.chance(0.2) ? AbortSignal.abort() : new AbortController().signal;
    return createMapping(
      this.world.core,
      session,
      { ...common, sizeBytes, reserveBytes },
      { ifExists: 'fail', signal },
    );
  }

  async #attach(session: Session, name: string): Promise<void> {
    const access = this.#random.chance(0.5) ? 'read' : 'write';
    const { ticket } = await attachMapping(this.world.core, session, { name, access, forLeases: false });
    if (this.#random.chance(0.7)) claimTicket(this.world.core, session, ticket.bytes);
  }

  #detach(session: Session): void {
    const attachment = this.#random.pick([...session.attachments.values()]);
    if (attachment?.part.kind === 'plain') detachMapping(this.world.core, session, attachment.id);
  }

  async #resize(session: Session, name: string): Promise<void> {
    const { signal } = new AbortController();
    const sizeBytes = BigInt(1 + this.#random.below(80 * PAGE));
    const own = this.#leases.find((lease) => lease.session === session && lease.name === name);
    const memory = this.world.memory.mappings.at(-1);
    if (memory !== undefined && this.#random.chance(0.2)) {
      memory.resizing = Promise.reject(new LeaseholdError('OUT_OF_MEMORY', 'for once'));
      memory.resizing.catch(() => undefined);
    }
    try {
      const request = { name, sizeBytes, mappingId: 0n, holdId: own?.holdId ?? 0n, onlyGrow: this.#random.chance(0.3) };
      await resizeMapping(this.world.core, session, request, signal);
    } finally {
      if (memory !== undefined) memory.resizing = Promise.resolve();
    }
  }

  async #acquire(session: Session, name: string): Promise<void> {
    const mode = this.#random.chance(0.5) ? 'shared' : 'exclusive';
    const waitMs = this.#random.chance(0.5) ? 0 : this.#random.below(5000);
    const { mapping, hold } = await acquire(this.world, session, { name, mode, waitMs, ttlMs: 60_000 });
    this.#leases.push({ session, name, mappingId: mapping.id, holdId: hold.id });
  }

  #release(): void {
    const lease = this.#leases.splice(this.#random.below(this.#leases.length + 1), 1)[0];
    if (lease !== undefined) releaseLease(this.world.core, lease.session, lease, { markClean: true });
  }

  #publish(session: Session, name: string): void {
    const ignore = () => undefined;
    const opened = (_channel: unknown, { ticket }: Attached) => {
      if (this.#random.chance(0.7)) claimTicket(this.world.core, session, ticket.bytes);
    };
    const events = { opened, queued: ignore, promoted: ignore, ended: ignore };
    const attachment = openPublisher(this.world.core, session, { name, failIfHeld: false, ttlMs: 60_000 }, events);
    if (this.#random.chance(0.5)) this.#attempt(async () => this.world.core.attachments.vacate(attachment));
  }

  #end(session: Session): void {
    this.#sessions.splice(this.#sessions.indexOf(session), 1);
    const acknowledged = this.#random.chance(0.5);
    this.world.core.endSession(session, acknowledged);
    if (!acknowledged) this.#lost.push(session);
    if (this.#random.chance(0.5)) this.#bury();
  }

  #bury(): void {
    for (const session of this.#lost.splice(0)) this.world.core.processGone(session);
  }

  endAll(): void {
    for (const session of [...this.#sessions]) this.#end(session);
    this.#bury();
    for (const mapping of this.world.core.registry.list()) this.world.core.deleteMapping(mapping);
  }

  /** What is there when nothing is under way, counted without the ledger; of sessions it does not know. */
  there(): Amounts {
    const mappings = this.world.core.registry.all();
    const members = mappings.flatMap((mapping) => [...mapping.members.values()]);
    const sum = (counts: readonly number[]): number => counts.reduce((total, count) => total + count, 0);
    const busy = members.filter((member) => {
      if (!member.active) return false;
      return member.part.kind === 'proxy' ? !member.mapping.proxies.isIdle(member) : member.part.kind === 'publisher';
    });
    return {
      bytes: sum(mappings.map(({ memory }) => memory.grant.mappedBytes + PAGE)) + members.length * PAGE,
      mappings: mappings.length,
      participants: members.length,
      leases: busy.length,
    };
  }
}

/** Until nothing is under way any more that waits for no timer. */
async function quiet(): Promise<void> {
  for (let turn = 0; turn < 10; turn += 1) await settled();
}

async function run(seed: number): Promise<ReadonlySet<string>> {
  const users = new RandomUsers(seed);
  const { quota } = users.world.core;
  for (let step = 0; step < STEPS; step += 1) {
    users.step();
    // Some things happen at once.
    if (step % 3 !== 0) continue;
    await quiet();
    const there = users.there();
    const charged = Object.fromEntries(QUOTA_DIMENSIONS.map((dimension) => [dimension, quota.used(dimension)]));
    expect(charged, `seed ${seed}, step ${step}`).toMatchObject(there);
    for (const dimension of QUOTA_DIMENSIONS) {
      const { total, perUser } = quota.limits;
      expect(quota.used(dimension), `${dimension}, seed ${seed}`).toBeLessThanOrEqual(total[dimension]);
      for (const uid of UIDS) {
        expect(quota.used(dimension, uid), `${dimension}, seed ${seed}`).toBeLessThanOrEqual(perUser[dimension]);
      }
    }
  }
  users.endAll();
  await quiet();
  expect([users.world.core.registry.all(), quota.uids], `seed ${seed}`).toEqual([[], []]);
  for (const dimension of QUOTA_DIMENSIONS) expect(quota.used(dimension), `${dimension}, seed ${seed}`).toBe(0);
  return users.refused;
}

describe('the ledger of quotas', () => {
  it('says what is there and no more than is allowed, whatever random users do, and nothing when they are gone', async () => {
    const refused = new Set<string>();
    const begin = Math.floor(Math.random() * 2 ** 31);
    for (let seed = begin; seed < begin + RUNS; seed += 1) for (const each of await run(seed)) refused.add(each);
    // Else this has shown little.
    const every = DIMENSIONS.flatMap((dimension) => [`${dimension} perUser`, `${dimension} total`]);
    expect([...refused].sort()).toEqual(every.sort());
  }, 60_000);
});
