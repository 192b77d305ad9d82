/** Quotas over the wire: each is refused to a user and in all, with the figures; what is given back can be had again. */
import { QUOTA_DIMENSIONS, type QuotaDimension, type QuotaSettings } from '@leasehold/broker';
import { connect } from '@leasehold/client';
import { FallbackReason, Lifetime, PagePolicy } from '@leasehold/proto';
import { describe, expect, it, onTestFinished } from 'vitest';
import { RawAttach } from '../hostile/raw-client.ts';
import { startSpecialBroker } from '../hostile/special-broker.ts';
import { failureOf } from '../support/failure.ts';
import { needLargePages, whyNoLargePages } from '../support/large-pages.ts';
import { startWorker } from '../support/processes.ts';
import { MIB, QuotaUser, SHARED } from './quota-user.ts';

const MAY_DO = ['connect', 'info', 'list', 'read', 'write', 'create', 'delete', 'admin'] as const;
const OTHER = { uid: 65_534, gid: 65_534 };
const NEEDS_ROOT = 'processes of another user can only be started by root';
const OWN = `uid:${process.getuid?.()}`;

/** A limit with room for two at one user who has one session already, and what the third is refused with. */
const TWICE: Record<QuotaDimension, { limit: number; used: number; requested: number }> = {
  bytes: { limit: 2.5 * MIB, used: 2 * MIB + 2 * 4096, requested: MIB + 4096 },
  // No pool has to be there to be refused; one page is too much already.
  largePageBytes: { limit: MIB, used: 0, requested: 2 * MIB },
  reservedBytes: { limit: 2.5 * 2 ** 36, used: 2 * 2 ** 36, requested: 2 ** 36 },
  mappings: { limit: 2, used: 2, requested: 1 },
  sessions: { limit: 3, used: 3, requested: 1 },
  leases: { limit: 2, used: 2, requested: 1 },
  participants: { limit: 2, used: 2, requested: 1 },
  descriptors: { limit: 7, used: 6, requested: 2 },
};

async function user(quotas: QuotaSettings, { shared = false } = {}): Promise<{ user: QuotaUser; runtimeDir: string }> {
  const { runtimeDir } = await startSpecialBroker({ quotas, mayDo: MAY_DO });
  const user = await QuotaUser.open(runtimeDir);
  onTestFinished(() => user.close());
  if (shared) await createShared(user);
  return { user, runtimeDir };
}

async function createShared({ rpc }: QuotaUser): Promise<void> {
  const spec = { name: SHARED, sizeBytes: 4096n, pages: PagePolicy.NEVER, lifetime: Lifetime.PERSISTENT };
  await rpc.mappings.createMapping(spec, rpc.options);
}

/** Until somebody is refused. */
async function takeTwice(user: QuotaUser, dimension: QuotaDimension): Promise<void> {
  if (TWICE[dimension].used === 0) return;
  expect(await user.take(dimension), `the first of ${dimension}`).toBeNull();
  expect(await user.take(dimension), `the second of ${dimension}`).toBeNull();
}

describe.each(QUOTA_DIMENSIONS)('the quota %s', (quota) => {
  const { limit, used, requested } = TWICE[quota];
  const shared = quota === 'leases' || quota === 'participants';
  const unit = quota.toLowerCase().endsWith('bytes') ? ' B' : '';
  const metadata = { quota, used: `${used}`, limit: `${limit}`, requested: `${requested}` };
  const description = `${quota}: ${requested}${unit} more than fit in the ${limit}${unit} allowed, of which ${used}${unit} are taken`;

  it.each([
    ['perUser', OWN, { perUser: { [quota]: limit } }],
    // Else a user may have only half of some.
    ['total', 'broker', { total: { [quota]: limit }, perUser: { [quota]: limit } }],
  ] as const)(
    '%s is refused as RESOURCE_EXHAUSTED with a QuotaFailure of %s, and to be had again',
    async (_scope, whose, quotas) => {
      const { user: own } = await user(quotas, { shared });
      await takeTwice(own, quota);
      expect(await own.take(quota)).toEqual({
        code: quota === 'sessions' ? 'TOO_MANY_SESSIONS' : 'QUOTA_EXCEEDED',
        status: 'RESOURCE_EXHAUSTED',
        metadata: { ...metadata, whose },
        violations: [[whose, description]],
      });
      if (used === 0) return;
      await own.giveBack();
      expect(await own.take(quota), 'what was given back').toBeNull();
      expect(await own.take(quota), 'one more').toMatchObject({ metadata: { ...metadata, whose } });
    },
  );
});

describe('a mapping', () => {
  it('that may grow keeps its size when growing would exceed the quota', async () => {
    const { user: own } = await user({ perUser: { bytes: 2 * MIB } });
    const { mappings, options } = own.rpc;
    const growing = { name: 'm', pages: PagePolicy.NEVER, lifetime: Lifetime.PERSISTENT };
    await mappings.createMapping({ ...growing, sizeBytes: BigInt(MIB), reserveBytes: BigInt(8 * MIB) }, options);
    const grow = (sizeBytes: number) =>
      mappings.resizeMapping({ name: 'm', sizeBytes: BigInt(sizeBytes), onlyGrow: true }, options);
    const refused = await failureOf(() => grow(3 * MIB));
    expect(refused).toMatchObject({ code: 'QUOTA_EXCEEDED', metadata: { quota: 'bytes', whose: OWN } });
    const { mapping } = await mappings.getMapping({ name: 'm' }, options);
    expect(mapping?.memory?.payloadBytes).toBe(BigInt(MIB));
    expect((await grow(2 * MIB - 4096)).mapping?.memory?.payloadBytes).toBe(BigInt(2 * MIB - 4096));
  });

  it('gets other pages, and is told why, when its user may have no more large ones', async () => {
    const { user: own } = await user({ perUser: { largePageBytes: MIB } });
    const { mappings, options } = own.rpc;
    const { mapping } = await mappings.createMapping({ name: 'm', sizeBytes: BigInt(2 * MIB) }, options);
    expect(mapping?.memory?.fallbackReason).toBe(FallbackReason.QUOTA);
  });
});

const noLargePages = whyNoLargePages(2);
describe.skipIf(noLargePages !== '')(`large pages${noLargePages && ` (skipped: ${noLargePages})`}`, () => {
  it('that are granted are taken from the quota, and can be had again when they are given back', async () => {
    needLargePages(2);
    const { user: own } = await user({ perUser: { largePageBytes: 3 * MIB } });
    const refused = {
      quota: 'largePageBytes',
      whose: OWN,
      used: `${2 * MIB}`,
      limit: `${3 * MIB}`,
      requested: `${2 * MIB}`,
    };
    expect(await own.take('largePageBytes')).toBeNull();
    expect(await own.take('largePageBytes')).toMatchObject({ code: 'QUOTA_EXCEEDED', metadata: refused });
    await own.giveBack();
    expect(await own.take('largePageBytes'), 'what was given back').toBeNull();
  });
});

describe('the descriptors', () => {
  it('that are charged are those that the broker holds', async () => {
    const { runtimeDir, held } = await startSpecialBroker({ quotas: {} });
    const own = await QuotaUser.open(runtimeDir);
    onTestFinished(() => own.close());
    await createShared(own);
    const before = held();
    const session = new RawAttach(runtimeDir);
    onTestFinished(() => session.close());
    await session.open();
    await expect.poll(() => held().fds - before.fds, { message: 'of a session' }).toBe(2);
    const broker = await connect({ runtimeDir });
    onTestFinished(() => broker.close());
    await (await broker.mapping(SHARED)).attach('write');
    expect(held().memfds - before.memfds, 'of a participant').toBe(1);
    await (await broker.mapping(SHARED)).attach('read');
    expect(held().memfds - before.memfds, 'of two participants: of a reader nothing else is kept').toBe(2);
  });
});

describe('the SDK', () => {
  it('says which quota it was, whose, and how much', async () => {
    const { runtimeDir } = await startSpecialBroker({ quotas: { perUser: { sessions: 2, mappings: 0 } } });
    const broker = await connect({ runtimeDir });
    onTestFinished(() => broker.close());
    expect(await failureOf(() => broker.createMapping('m', { sizeBytes: 1 }))).toMatchObject({
      code: 'QUOTA_EXCEEDED',
      message: expect.stringContaining('raise quotas.perUser.mappings'),
      metadata: { quota: 'mappings', whose: OWN, used: '0', limit: '0', requested: '1' },
    });
    const second = await connect({ runtimeDir });
    onTestFinished(() => second.close());
    expect(await failureOf(() => connect({ runtimeDir }))).toMatchObject({
      code: 'TOO_MANY_SESSIONS',
      metadata: { quota: 'sessions', whose: OWN, used: '2', limit: '2', requested: '1' },
    });
  });
});

const isRoot = process.getuid?.() === 0;
if (!isRoot) console.warn(`skipped: ${NEEDS_ROOT}`);

describe.skipIf(!isRoot)(`one user's quota (skipped without root: ${NEEDS_ROOT})`, () => {
  it('that is used up hinders nobody else, and each is told of its own', async () => {
    const limits = Object.entries(TWICE).map(([quota, { limit }]) => [quota, limit]);
    // Room for the mapping for all, which is the first user's too, and for the places of those who lease.
    const room = { mappings: 3, participants: 4, descriptors: 40, bytes: 3 * MIB };
    const perUser = { ...Object.fromEntries(limits), ...room };
    const { user: own, runtimeDir } = await user({ perUser }, { shared: true });
    const other = startWorker('quota-user', [runtimeDir], OTHER);
    await other.ask('ready');
    for (const quota of ['mappings', 'leases', 'participants', 'sessions'] as const) {
      await untilRefused(quota, 'uid:0', () => own.take(quota));
    }
    for (const quota of ['leases', 'participants', 'sessions', 'mappings'] as const) {
      expect(await other.ask(quota), `the first of ${quota}`).toBeNull();
      await untilRefused(quota, 'uid:65534', () => other.ask(quota));
    }
  });

  it('counts with that of others against what there is in all', async () => {
    const quotas = { total: { bytes: 3.5 * MIB, mappings: 99 }, perUser: { bytes: 2.5 * MIB } };
    const { user: own, runtimeDir } = await user(quotas);
    const other = startWorker('quota-user', [runtimeDir], OTHER);
    await takeTwice(own, 'bytes');
    expect(await other.ask('bytes')).toBeNull();
    expect(await other.ask('bytes')).toMatchObject({ metadata: { quota: 'bytes', whose: 'broker' } });
    await own.giveBack();
    expect(await other.ask('bytes')).toBeNull();
    expect(await other.ask('bytes')).toMatchObject({ metadata: { quota: 'bytes', whose: 'uid:65534' } });
  });
});

/** Within a few more; and of this user. */
async function untilRefused(quota: string, whose: string, take: () => Promise<unknown>): Promise<void> {
  for (let more = 0; more < 5; more += 1) {
    const refused = await take();
    if (refused === null) continue;
    expect(refused, quota).toMatchObject({ metadata: { quota, whose } });
    return;
  }
  throw new Error(`${quota} was never refused`);
}
