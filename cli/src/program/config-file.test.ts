import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CONFIG_KEYS, resolveSettings } from './broker-settings.ts';
import { ConfigFile } from './config-file.ts';
import { UsageError } from './errors.ts';

let directory: string;
let path: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'lh-config-'));
  path = join(directory, 'leasehold.toml');
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const settingsOf = (source: string, flags: object = {}, env: Record<string, string> = {}) => {
  writeFileSync(path, source);
  return resolveSettings({ flags: { config: path, ...flags }, env: { HOME: '/home/u', ...env }, uid: 1000 });
};
/** The error's text, with the file's name short. */
const refusalOf = (source: string): string => {
  try {
    settingsOf(source);
  } catch (error) {
    expect(error).toBeInstanceOf(UsageError);
    return error instanceof Error ? error.message.replaceAll(path, 'FILE') : '';
  }
  throw new Error('it was taken');
};

const WHOLE = `# every setting
memoryQuota = "1.5GiB"
drainMs = 100
logLevel = "warn"
http = "127.0.0.1:0"
httpMetrics = true
stateDir = "state"
runtimeDir = "/run/mine"
system = true

[hugePages]
reserve = "4GiB"
use = "auto"

[quotas.total]
mappings = 100
[quotas.perUser]
bytes = 4096
largePageBytes = 0
reservedBytes = "1TiB"
sessions = 5
leases = 6
participants = 7
descriptors = 8
`;

describe('a configuration file', () => {
  it('gives every setting, and each says in which line', () => {
    const at = (line: number) => `${path}:${line}`;
    expect(settingsOf(WHOLE)).toMatchObject({
      config: { value: path, origin: '--config' },
      memoryQuotaBytes: { value: 1.5 * 2 ** 30, origin: at(2) },
      drainMs: { value: 100, origin: at(3) },
      logLevel: { value: 'warn', origin: at(4) },
      http: { value: { host: '127.0.0.1', port: 0 }, origin: at(5) },
      httpMetrics: { value: true, origin: at(6) },
      stateDir: { value: join(directory, 'state'), origin: at(7) },
      runtimeDir: { value: '/run/mine', origin: at(8) },
      system: { value: true, origin: at(9) },
      hugePagesReserveBytes: { value: 4 * 2 ** 30, origin: at(12) },
      hugePagesUse: { value: 'auto', origin: at(13) },
      quotas: {
        total: { mappings: { value: 100, origin: at(16) } },
        perUser: {
          bytes: { value: 4096, origin: at(18) },
          largePageBytes: { value: 0, origin: at(19) },
          reservedBytes: { value: 2 ** 40, origin: at(20) },
          sessions: { value: 5, origin: at(21) },
          leases: { value: 6, origin: at(22) },
          participants: { value: 7, origin: at(23) },
          descriptors: { value: 8, origin: at(24) },
        },
      },
    });
  });

  it('comes after flags and variables, and before defaults', () => {
    const env = { LEASEHOLD_DRAIN_MS: '7', LEASEHOLD_HUGE_PAGES: 'auto', LEASEHOLD_RUNTIME_DIR: '/run/env' };
    const settings = settingsOf(WHOLE, { hugePagesReserve: '2MiB', stateDir: '/flag' }, env);
    expect(settings).toMatchObject({
      drainMs: { value: 7, origin: 'LEASEHOLD_DRAIN_MS' },
      hugePagesUse: { value: 'auto', origin: 'LEASEHOLD_HUGE_PAGES' },
      hugePagesReserveBytes: { value: 2 ** 21, origin: '--huge-pages-reserve' },
      runtimeDir: { value: '/run/env', origin: 'LEASEHOLD_RUNTIME_DIR' },
      stateDir: { value: '/flag', origin: '--state-dir' },
      logLevel: { value: 'warn' },
    });
    expect(settingsOf('').hugePagesReserveBytes).toEqual({ value: 0, origin: 'default' });
  });

  it('is named by a flag, or else by a variable', () => {
    writeFileSync(path, 'drainMs = 1');
    const env = { HOME: '/home/u', LEASEHOLD_CONFIG: path };
    const settings = resolveSettings({ flags: {}, env, uid: 1000 });
    expect(settings).toMatchObject({ config: { value: path, origin: 'LEASEHOLD_CONFIG' }, drainMs: { value: 1 } });
    const missing = join(directory, 'missing.toml');
    expect(() => resolveSettings({ flags: { config: missing }, env, uid: 1000 })).toThrow(
      /the configuration file .*missing\.toml cannot be read: ENOENT/,
    );
  });

  it('calls the total of all bytes also by its short name, and takes one of the two', () => {
    expect(settingsOf('[quotas.total]\nbytes = "1GiB"').memoryQuotaBytes).toEqual({
      value: 2 ** 30,
      origin: `${path}:2`,
    });
    const flagged = settingsOf('quotas.total.bytes = 4096', { memoryQuota: '8KiB' });
    expect(flagged.memoryQuotaBytes).toEqual({ value: 8192, origin: '--memory-quota' });
    expect(flagged.quotas.total).toEqual({});
    expect(refusalOf('memoryQuota = 1\n[quotas.total]\nbytes = 2')).toBe(
      'FILE:3: quotas.total.bytes is what memoryQuota is, which is given, too: leave one of them out',
    );
  });

  it.each([
    ['drain-ms = 1', /^FILE:1: drain-ms is not a setting; there are .*drainMs, /],
    ['\n[hugePages]\nreserved = "4GiB"', /^FILE:3: hugePages\.reserved is not a setting; there are use, reserve$/],
    ['[hugepages]\nreserve = "4GiB"', /^FILE:1: hugepages is not a setting; there are .*hugePages, /],
    ['[quotas.total.more]\nbytes = 1', /^FILE:1: quotas\.total\.more is not a setting; there are bytes, /],
    ['[quotas.root]\nbytes = 1', /^FILE:1: quotas\.root is not a setting; there are total, perUser$/],
    ['quotas = { perUser = { byte = 1 } }', /^FILE:1: quotas\.perUser\.byte is not a setting/],
    ['hugePages = 5', /^FILE:1: hugePages is a table: write \[hugePages\], and its keys below$/],
    ['__proto__ = 1', /^FILE:1: __proto__ is not a setting/],
    ['"hugePages.reserve" = "4GiB"', /^FILE:1: hugePages\.reserve is one name there, by its quotes: leave them out$/],
    ['\n[[quotas]]\nx = 1', /^FILE:2: quotas is a table: write \[quotas\], and its keys below$/],
    ['quotas.total.bytes = 0', /^FILE:1: quotas\.total\.bytes: "0" is not a size/],
    ['drainMs = "1"', /^FILE:1: drainMs must be a number, not a string$/],
    ['[drainMs]', /^FILE:1: drainMs must be a number, not a table$/],
    ['drainMs = 1.5', /^FILE:1: drainMs: "1.5" is not a whole number/],
    ['httpMetrics = 1', /^FILE:1: httpMetrics must be true or false, not a number$/],
    ['memoryQuota = ["1GiB"]', /^FILE:1: memoryQuota must be a string or a number, not a list$/],
    ['memoryQuota = "lots"', /^FILE:1: memoryQuota: "lots" is not a size/],
    ['logLevel = 2026-11-21', /^FILE:1: logLevel must be a string, not a date$/],
    ['hugePages.use = "require"', /^FILE:1: hugePages\.use: "require" is not one of auto, never$/],
    ['[quotas.perUser]\nsessions = -1', /^FILE:2: quotas\.perUser\.sessions: "-1" is not a whole number/],
    ['[quotas.perUser]\nsessions = "5"', /^FILE:2: quotas\.perUser\.sessions must be a number, not a string$/],
    ['stateDir = ""', /^FILE:1: stateDir: "" names nothing$/],
    ['a = 1\nb =', /^FILE:2:\d+: not TOML: /],
    ['drainMs = 1\ndrainMs = 2', /^FILE:2:\d+: not TOML: /],
  ])('with %j is refused with the place and the reason', (source, expected) => {
    expect(refusalOf(source)).toMatch(expected);
  });

  it('has a line for each key however it is written', () => {
    for (const source of [
      '[hugePages]\nreserve=1',
      'x.y = 0\nhugePages . "reserve" = 1',
      '\nhugePages = { reserve = 1 }',
    ]) {
      expect(new ConfigFile('F', source).get('hugePages.reserve', ['number'])).toEqual({ text: '1', origin: 'F:2' });
    }
  });

  it('may have each key once: those that docs/CONFIGURATION.md lists', () => {
    const docs = readFileSync(new URL('../../../docs/CONFIGURATION.md', import.meta.url), 'utf8');
    const rows = docs.split('\n').filter((line) => line.startsWith('| `'));
    const listed = rows.flatMap((row) => row.split('|').flatMap((cell) => /^ `([A-Za-z.]+)` $/.exec(cell)?.[1] ?? []));
    expect([...listed].sort()).toEqual([...CONFIG_KEYS].sort());
  });
});
