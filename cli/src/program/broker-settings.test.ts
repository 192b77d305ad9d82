import { describe, expect, it } from 'vitest';
import { resolveSettings } from './broker-settings.ts';

const HOME = '/home/u';
const settingsOf = (flags: object, env: Record<string, string> = {}, uid = 1000) =>
  resolveSettings({ flags, env: { HOME, ...env }, uid });

describe('resolveSettings', () => {
  it('takes the flag before the variable and the variable before the default, and says which', () => {
    const env = { LEASEHOLD_DRAIN_MS: '7', LEASEHOLD_HTTP: 'off' };
    expect(settingsOf({ drainMs: '9' }, env).drainMs).toEqual({ value: 9, origin: '--drain-ms' });
    expect(settingsOf({}, env).drainMs).toEqual({ value: 7, origin: 'LEASEHOLD_DRAIN_MS' });
    expect(settingsOf({}, env).http).toEqual({ value: 'off', origin: 'LEASEHOLD_HTTP' });
    expect(settingsOf({}).drainMs).toEqual({ value: 5000, origin: 'default' });
    expect(settingsOf({}, { LEASEHOLD_DRAIN_MS: '' }).drainMs.origin).toBe('default');
  });

  it('lets the memory of the machine decide the quota unless it is given', () => {
    expect(settingsOf({}).memoryQuotaBytes.value).toBeNull();
    expect(settingsOf({ memoryQuota: '1GiB' }).memoryQuotaBytes.value).toBe(2 ** 30);
  });

  it('makes the broker of root a system broker, unless told otherwise', () => {
    expect(settingsOf({}, {}, 0).system).toEqual({ value: true, origin: 'default' });
    expect(settingsOf({}).system.value).toBe(false);
    expect(settingsOf({ system: false }, {}, 0).system).toEqual({ value: false, origin: '--system' });
    expect(settingsOf({}, { LEASEHOLD_SYSTEM: '1' }).runtimeDir.value).toBe('/run/leasehold');
  });

  it('refuses to reserve large pages that nobody may use', () => {
    const flags = { hugePages: 'never', hugePagesReserve: '64MiB' };
    expect(() => resolveSettings({ flags, env: {}, uid: 0 })).toThrow('--huge-pages forbids');
    expect(() => resolveSettings({ flags: { ...flags, hugePagesReserve: '0' }, env: {}, uid: 0 })).not.toThrow();
  });

  it('names the flag or variable whose value is wrong', () => {
    expect(() => settingsOf({ http: 'x' })).toThrow(/^--http: "x" is not HOST:PORT/);
    expect(() => settingsOf({}, { LEASEHOLD_LOG_LEVEL: 'loud' })).toThrow(/^LEASEHOLD_LOG_LEVEL: "loud" is not one of/);
    expect(() => settingsOf({ memoryQuota: '' })).toThrow(/^--memory-quota/);
  });
});
