import { describe, expect, it } from 'vitest';
import { quotaLimits } from './quota-limits.ts';
import { QUOTA_DIMENSIONS, Quotas } from './quotas.ts';
import { Random } from './testing/random.ts';

const quotas = (...asked: Parameters<typeof quotaLimits>) => new Quotas(quotaLimits(...asked));
const refused = (metadata: Record<string, string>) => expect.objectContaining({ code: 'QUOTA_EXCEEDED', metadata });

describe('a quota', () => {
  it.each(QUOTA_DIMENSIONS)('of %s is refused to one user with the numbers, and not to another', (quota) => {
    const ledger = quotas(1000, { total: { [quota]: 100 }, perUser: { [quota]: 10 } });
    ledger.take(1000, { [quota]: 7 });
    const code = quota === 'sessions' ? 'TOO_MANY_SESSIONS' : 'QUOTA_EXCEEDED';
    const metadata = { quota, whose: 'uid:1000', used: '7', limit: '10', requested: '4' };
    expect(() => ledger.take(1000, { [quota]: 4 })).toThrow(expect.objectContaining({ code, metadata }));
    ledger.take(1000, { [quota]: 3 });
    ledger.take(1001, { [quota]: 10 });
    expect([ledger.used(quota), ledger.used(quota, 1000), ledger.used(quota, 1001)]).toEqual([20, 10, 10]);
  });

  it.each(QUOTA_DIMENSIONS)('of %s is refused to everybody when all together have it', (quota) => {
    const ledger = quotas(1000, { total: { [quota]: 15 }, perUser: { [quota]: 10 } });
    ledger.take(1000, { [quota]: 10 });
    const metadata = { quota, whose: 'broker', used: '10', limit: '15', requested: '6' };
    expect(() => ledger.take(1001, { [quota]: 6 })).toThrow(expect.objectContaining({ metadata }));
    ledger.take(1001, { [quota]: 5 });
  });

  it('that is not set for a user is named as what it is: that of the broker', () => {
    const ledger = quotas(100);
    expect(() => ledger.take(1000, { bytes: 101 })).toThrow(
      refused({ quota: 'bytes', whose: 'broker', used: '0', limit: '100', requested: '101' }),
    );
  });

  it('says in words what is missing, and which setting to raise', () => {
    const ledger = quotas(100, { perUser: { bytes: 50, leases: 0 } });
    expect(() => ledger.take(1000, { bytes: 51 })).toThrow(
      '51 B more would exceed the quota bytes of uid 1000: 0 B of 50 B are taken; give back what is not needed, or raise quotas.perUser.bytes.',
    );
    expect(() => ledger.take(1000, { leases: 1 })).toThrow(/^1 more would exceed .* 0 of 0 are taken/);
    expect(() => ledger.take(1, { bytes: 101 })).toThrow(/of uid 1: .* quotas\.perUser\.bytes/);
    ledger.take(2, { bytes: 50 });
    ledger.take(3, { bytes: 50 });
    expect(() => ledger.take(4, { bytes: 1 })).toThrow(/of the broker: .* quotas\.total\.bytes/);
  });

  it('takes nothing of anything when one thing is refused', () => {
    const ledger = quotas(100, { total: { descriptors: 3 } });
    expect(() => ledger.take(1000, { bytes: 10, descriptors: 4 })).toThrow();
    expect([ledger.used('bytes'), ledger.uids]).toEqual([0, []]);
  });
});

describe('what was taken', () => {
  it('changes only as far as there is something, and is given back once', () => {
    const ledger = quotas(100);
    const taken = ledger.take(1000, { bytes: 60, leases: 1 });
    expect(() => taken.change({ bytes: 101 })).toThrow(
      refused({ quota: 'bytes', whose: 'broker', used: '60', limit: '100', requested: '41' }),
    );
    expect([ledger.used('bytes'), ledger.used('leases')]).toEqual([60, 1]);
    taken.change({ bytes: 100 });
    expect([ledger.used('bytes'), ledger.used('leases')]).toEqual([100, 0]);
    taken.release();
    taken.release();
    taken.settle({ bytes: 5 });
    taken.change({ bytes: 5 });
    expect([ledger.used('bytes'), ledger.uids]).toEqual([0, []]);
  });

  it('may become less although it is more than is allowed', () => {
    const ledger = quotas(100);
    const taken = ledger.take(1000, { bytes: 60 });
    taken.settle({ bytes: 200 });
    taken.change({ bytes: 150 });
    expect(ledger.used('bytes', 1000)).toBe(150);
  });

  it('adds up, whatever is taken, changed and given back', () => {
    const seed = Math.floor(Math.random() * 2 ** 32);
    const random = new Random(seed);
    const limits = quotaLimits(1000, { total: { leases: 50 }, perUser: { bytes: 700, leases: 20 } });
    const ledger = new Quotas(limits);
    const model = new Set<{ uid: number; taken: ReturnType<Quotas['take']> }>();
    const some = () => ({ bytes: random.below(300), leases: random.below(9) });
    const attempt = <T>(act: () => T): T | null => {
      try {
        return act();
      } catch (error) {
        expect(error, `seed ${seed}`).toMatchObject({ code: 'QUOTA_EXCEEDED' });
        return null;
      }
    };
    for (let step = 0; step < 3000; step += 1) {
      const uid = random.below(4);
      const one = random.pick([...model]);
      if (one === undefined || random.chance(0.4)) {
        const taken = attempt(() => ledger.take(uid, some()));
        if (taken !== null) model.add({ uid, taken });
      } else if (random.chance(0.5)) {
        attempt(() => one.taken.change(some()));
      } else {
        one.taken.release();
        model.delete(one);
      }
      for (const dimension of ['bytes', 'leases'] as const) {
        const sum = (of: number | null) =>
          [...model].reduce(
            (all, { uid, taken }) => all + (of === null || of === uid ? (taken.amounts[dimension] ?? 0) : 0),
            0,
          );
        expect(ledger.used(dimension), `seed ${seed}`).toBe(sum(null));
        expect(ledger.used(dimension), `seed ${seed}`).toBeLessThanOrEqual(limits.total[dimension]);
        for (const each of [0, 1, 2, 3]) {
          expect(ledger.used(dimension, each), `seed ${seed}`).toBe(sum(each));
          expect(ledger.used(dimension, each), `seed ${seed}`).toBeLessThanOrEqual(limits.perUser[dimension]);
        }
      }
    }
    for (const { taken } of model) taken.release();
    expect([ledger.used('bytes'), ledger.used('leases'), ledger.uids], `seed ${seed}`).toEqual([0, 0, []]);
  });
});

describe('the limits', () => {
  it('let one user have all memory and mappings, and half of what a process has few of', () => {
    const { total, perUser } = quotaLimits(1000, {}, { participants: 100, descriptors: 301 });
    expect(total).toMatchObject({ bytes: 1000, participants: 100, descriptors: 301, leases: 32_768, mappings: 16_384 });
    expect(perUser).toMatchObject({
      bytes: 1000,
      participants: 50,
      descriptors: 151,
      mappings: 16_384,
      sessions: 1024,
    });
    expect([total.largePageBytes, perUser.largePageBytes]).toEqual([
      Number.POSITIVE_INFINITY,
      Number.POSITIVE_INFINITY,
    ]);
  });

  it('follow what is asked, but for what the process cannot have', () => {
    const asked = { total: { bytes: 5, descriptors: 900, participants: 900, leases: 11 }, perUser: { sessions: 3 } };
    const { total, perUser } = quotaLimits(1000, asked, { participants: 100, descriptors: 300 });
    expect(total).toMatchObject({ bytes: 5, descriptors: 300, participants: 100, leases: 11 });
    expect(perUser).toMatchObject({ bytes: 5, sessions: 3, leases: 6 });
  });

  it('leave room to reserve more than there is of memory', () => {
    const { total, perUser } = quotaLimits(2 ** 52);
    expect(perUser.reservedBytes).toBeGreaterThanOrEqual(perUser.bytes);
    expect(total.reservedBytes).toBeGreaterThanOrEqual(perUser.reservedBytes);
  });

  it.each([-1, 0.5, Number.NaN])('are refused when they are no count: %s', (bytes) => {
    expect(() => quotaLimits(1000, { perUser: { bytes } })).toThrow(/^quotas\.perUser\.bytes must be a count/);
  });

  it('are refused when nothing is called so', () => {
    const total: Record<string, number> = { colours: 3 };
    expect(() => quotaLimits(1000, { total })).toThrow(/^quotas\.total\.colours is no quota; there are bytes, /);
  });
});
