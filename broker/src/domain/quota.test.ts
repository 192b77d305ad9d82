import { describe, expect, it } from 'vitest';
import { MemoryQuota } from './quota.ts';

const quota = (quotaBytes: number, availableBytes = 2 ** 40, reserveBytes = 0) =>
  new MemoryQuota({ quotaBytes, reserveBytes, headroom: () => ({ availableBytes, detail: 'what there is' }) });

describe('the memory quota', () => {
  it('refuses what would exceed it, with the numbers', () => {
    const memory = quota(10_000);
    const first = memory.open(0);
    first.admit(6000, 'base');
    expect(() => memory.open(0).admit(4001, 'base')).toThrow(
      expect.objectContaining({
        code: 'QUOTA_EXCEEDED',
        metadata: { requestedBytes: '4001', chargedBytes: '6000', quotaBytes: '10000' },
      }),
    );
    first.release();
    memory.open(0).admit(10_000, 'base');
    expect(memory.chargedBytes).toBe(10_000);
  });

  it('counts a fallback to other pages once', () => {
    const memory = quota(5000);
    const charge = memory.open(1000);
    charge.admit(4000, 'hugetlb-2m');
    charge.admit(3000, 'base');
    expect(memory.chargedBytes).toBe(5000);
    charge.settle(4000);
    expect(memory.chargedBytes).toBe(4000);
  });

  it('leaves a reserve, and what others were promised, to the machine', () => {
    const memory = quota(2 ** 30, 1000, 100);
    memory.open(0).admit(900, 'base', 0);
    expect(() => memory.open(0).admit(900, 'base', 1)).toThrow(
      expect.objectContaining({
        code: 'OUT_OF_MEMORY',
        metadata: { requestedBytes: '900', availableBytes: '1000', reservedBytes: '101' },
      }),
    );
  });

  it('does not ask the machine about large pages, which have a pool of their own', () => {
    quota(2 ** 30, 0)
      .open(0)
      .admit(2 ** 21, 'hugetlb-2m');
  });

  it('charges nothing for what was refused', () => {
    const memory = quota(2 ** 30, 10);
    expect(() => memory.open(0).admit(100, 'base')).toThrow();
    expect(memory.chargedBytes).toBe(0);
  });
});
