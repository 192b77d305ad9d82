import { describe, expect, it } from 'vitest';
import { Charges } from './charge.ts';
import { type QuotaSettings, quotaLimits } from './quota-limits.ts';
import { Quotas } from './quotas.ts';

const CONTROL = { uid: 1000, controlBytes: 1000, reservedBytes: 0 };
const NONE = { uid: 1000, controlBytes: 0, reservedBytes: 0 };

function world(memoryBytes: number, quotas: QuotaSettings = {}) {
  const quota = new Quotas(quotaLimits(memoryBytes, quotas));
  const machine = { availableBytes: 2 ** 40, reserveBytes: 0 };
  const open = (of = NONE, { reserveBytes } = machine) =>
    new Charges({ quota, reserveBytes, headroom: () => ({ ...machine, detail: 'what there is' }) }).open(of);
  return { quota, machine, open };
}

describe('the charge of a mapping', () => {
  it('is refused when it would exceed the quota, with the numbers', () => {
    const { quota, open } = world(10_000);
    const first = open();
    first.admit(6000, 'base');
    expect(() => open().admit(4001, 'base')).toThrow(
      expect.objectContaining({
        code: 'QUOTA_EXCEEDED',
        metadata: { quota: 'bytes', whose: 'broker', used: '6000', limit: '10000', requested: '4001' },
      }),
    );
    first.release();
    open().admit(10_000, 'base');
    expect(quota.chargedBytes).toBe(10_000);
  });

  it('counts one mapping and its two descriptors as soon as it is opened, and its reservation once it is admitted', () => {
    const { quota, open } = world(10_000);
    const charge = open({ ...CONTROL, reservedBytes: 2 ** 36 });
    const taken = () =>
      (['mappings', 'descriptors', 'reservedBytes', 'bytes'] as const).map((dimension) => quota.used(dimension, 1000));
    expect(taken()).toEqual([1, 2, 0, 0]);
    charge.admit(4000, 'base');
    expect(taken()).toEqual([1, 2, 2 ** 36, 5000]);
    charge.release();
    expect(quota.uids).toEqual([]);
  });

  it('reserves what it has when it reserves no more', () => {
    const { quota, open } = world(10_000);
    open(CONTROL).admit(4000, 'base');
    expect(quota.used('reservedBytes')).toBe(4000);
  });

  it('is that of the last kind of pages that was admitted, and of the control memory once', () => {
    const { quota, open } = world(6000);
    const charge = open(CONTROL);
    charge.admit(4000, 'hugetlb-2m');
    expect([quota.used('bytes'), quota.used('largePageBytes')]).toEqual([5000, 4000]);
    charge.admit(3000, 'base');
    expect([quota.used('bytes'), quota.used('largePageBytes')]).toEqual([4000, 0]);
    // The lock segment.
    charge.admit(1000, 'base');
    charge.settle(3000);
    expect([charge.bytes, quota.used('bytes')]).toEqual([4000, 4000]);
  });

  it('keeps its large pages when its lock segment is admitted', () => {
    const { quota, open } = world(2 ** 30);
    const charge = open({ ...CONTROL, controlBytes: 4096 });
    charge.admit(2 ** 21, 'hugetlb-2m');
    charge.admit(4096, 'base');
    charge.settle(2 ** 21);
    expect(quota.used('largePageBytes')).toBe(2 ** 21);
  });

  it('of large pages beyond their quota is refused so that other pages may be tried, and takes nothing', () => {
    const { quota, open } = world(2 ** 30, { perUser: { largePageBytes: 2 ** 21 } });
    const metadata = { quota: 'largePageBytes', whose: 'uid:1000', used: '0', limit: '2097152', requested: '4194304' };
    const charge = open();
    expect(() => charge.admit(2 ** 22, 'hugetlb-2m')).toThrow(
      expect.objectContaining({ code: 'QUOTA_EXCEEDED', fallback: 'QUOTA', metadata }),
    );
    expect(quota.chargedBytes).toBe(0);
    charge.admit(2 ** 22, 'transparent-2m');
    expect([quota.used('bytes'), quota.used('largePageBytes')]).toEqual([2 ** 22, 0]);
  });

  it('grows within the quota, and falls to what there is', () => {
    const { quota, open } = world(10_000, { total: { largePageBytes: 6000 } });
    const charge = open(CONTROL);
    charge.admit(4000, 'hugetlb-2m');
    charge.settle(4000);
    expect(() => charge.grow(2001, 'hugetlb-2m')).toThrow(
      expect.objectContaining({ metadata: expect.objectContaining({ quota: 'largePageBytes', requested: '2001' }) }),
    );
    expect(quota.used('largePageBytes')).toBe(4000);
    charge.grow(2000, 'hugetlb-2m');
    expect([charge.bytes, quota.used('largePageBytes')]).toEqual([7000, 6000]);
    charge.settle(1000);
    expect([charge.bytes, quota.used('largePageBytes')]).toEqual([2000, 1000]);
  });

  it('counts nothing any more once it is released, whatever is still being resized', () => {
    const { quota, open } = world(10_000);
    const charge = open(CONTROL);
    charge.admit(4000, 'base');
    charge.release();
    charge.grow(1000, 'base');
    charge.settle(5000);
    expect([charge.bytes, quota.chargedBytes, quota.uids]).toEqual([0, 0, []]);
  });
});

describe('memory of the machine', () => {
  it('leaves a reserve, and what others were promised', () => {
    const { machine, open } = world(2 ** 30);
    Object.assign(machine, { availableBytes: 1000, reserveBytes: 100 });
    open().admit(900, 'base', 0);
    expect(() => open().admit(900, 'base', 1)).toThrow(
      expect.objectContaining({
        code: 'OUT_OF_MEMORY',
        metadata: { requestedBytes: '900', availableBytes: '1000', reservedBytes: '101' },
      }),
    );
  });

  it('is asked only for what comes on top when a mapping grows', () => {
    const { machine, open } = world(2 ** 30);
    const charge = open();
    charge.admit(5000, 'base');
    machine.availableBytes = 1000;
    charge.grow(1000, 'base');
    expect(() => charge.grow(1000, 'base', 1)).toThrow(expect.objectContaining({ code: 'OUT_OF_MEMORY' }));
    expect(charge.bytes).toBe(6000);
  });

  it('is not asked about large pages, which have a pool of their own', () => {
    const { machine, open } = world(2 ** 30);
    machine.availableBytes = 0;
    open().admit(2 ** 21, 'hugetlb-2m');
    expect(() => open().admit(2 ** 21, 'transparent-2m')).toThrow(expect.objectContaining({ code: 'OUT_OF_MEMORY' }));
  });

  it('is not charged when it is refused', () => {
    const { quota, machine, open } = world(2 ** 30);
    machine.availableBytes = 10;
    expect(() => open().admit(100, 'base')).toThrow();
    expect(quota.chargedBytes).toBe(0);
  });
});
