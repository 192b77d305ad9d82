import { describe, expect, it } from 'vitest';
import { monotonicNs, openMonotonicClock } from './clock.ts';
import { addressOf, libc } from './libc.ts';

const SYS_CLOCK_GETTIME = process.arch === 'arm64' ? 113 : 228;
const CLOCK_MONOTONIC = 1;

describe('the monotonic clock', () => {
  it('is the kernel’s CLOCK_MONOTONIC, which other processes read too', () => {
    const time = new Uint8Array(new ArrayBuffer(16));
    const words = new BigInt64Array(time.buffer);
    const before = monotonicNs();
    expect(libc().syscall(SYS_CLOCK_GETTIME, CLOCK_MONOTONIC, addressOf(time))).toBe(0);
    const after = monotonicNs();
    const kernelNs = Number((words[0] ?? 0n) * 1_000_000_000n + (words[1] ?? 0n));
    expect(kernelNs).toBeGreaterThanOrEqual(before);
    expect(kernelNs).toBeLessThanOrEqual(after);
  });

  it('that makes no garbage reads the same', () => {
    const nowNs = openMonotonicClock();
    const slackNs = 1_000;
    for (let reading = 0; reading < 100; reading += 1) {
      const before = monotonicNs();
      const between = nowNs();
      const after = monotonicNs();
      expect(between).toBeGreaterThanOrEqual(before - slackNs);
      expect(between).toBeLessThanOrEqual(after + slackNs);
      expect(Number.isInteger(between)).toBe(true);
    }
  });
});
