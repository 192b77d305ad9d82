/**
 * What `leasehold serve` is told: flag, else environment, else configuration file, else default. Each value remembers where it is
 * from, for `--print-config` and for errors, which must name what was wrong and not only its value.
 */
import {
  type LogLevel,
  LogLevels,
  QUOTA_DIMENSIONS,
  type QuotaDimension,
  type ResolvedDirectory,
  resolveRuntimeDir,
  resolveStateDir,
} from '@leasehold/broker';
import { ConfigFile, type TomlType } from './config-file.ts';
import { UsageError } from './errors.ts';
import { parseAmount, parseChoice, parseHttp, parseInteger, parseSize, parseSwitch } from './parse.ts';

const DRAIN_MS_MAX = 24 * 60 * 60 * 1000;
const COUNT_MAX = 2 ** 31 - 1;

/** Flags as commander leaves them: text, or true for a switch. */
export interface ServeFlags {
  readonly config?: string;
  readonly runtimeDir?: string;
  readonly stateDir?: string;
  readonly system?: boolean;
  readonly http?: string;
  readonly httpMetrics?: boolean;
  readonly drainMs?: string;
  readonly memoryQuota?: string;
  readonly hugePages?: string;
  readonly hugePagesReserve?: string;
  readonly logLevel?: string;
}

export interface Setting<T> {
  readonly value: T;
  /** A flag, a variable, `FILE:LINE`, or `default`. */
  readonly origin: string;
}

export const QuotaScopes = ['total', 'perUser'] as const;
export type QuotaScope = (typeof QuotaScopes)[number];

export interface BrokerSettings {
  /** Null: there is none. */
  readonly config: Setting<string | null>;
  readonly runtimeDir: Setting<string>;
  readonly stateDir: Setting<string>;
  readonly system: Setting<boolean>;
  readonly http: Setting<'off' | { readonly host: string; readonly port: number }>;
  readonly httpMetrics: Setting<boolean>;
  readonly drainMs: Setting<number>;
  /** Null: the broker decides by the machine's memory. */
  readonly memoryQuotaBytes: Setting<number | null>;
  /** `never`: nobody gets large pages of this broker. */
  readonly hugePagesUse: Setting<'auto' | 'never'>;
  /** What the broker sees to being free in the kernel's pool when it begins. */
  readonly hugePagesReserveBytes: Setting<number>;
  /** Those that are given; the broker knows the others. */
  readonly quotas: Readonly<Record<QuotaScope, Readonly<Partial<Record<QuotaDimension, Setting<number>>>>>>;
  readonly logLevel: Setting<LogLevel>;
}

export interface SettingsSource {
  readonly flags: ServeFlags;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly uid: number;
}

/** How one setting is given, and what is made of it. */
interface Definition<T> {
  /** Its key in the configuration file. */
  readonly key: string;
  /** Absent: only the file can give it. Its variable is made from its name: `--drain-ms` is `LEASEHOLD_DRAIN_MS`, and so on. */
  readonly flag?: string;
  /** As what the file may give it. */
  readonly types: readonly TomlType[];
  readonly parse: (text: string) => T;
}

const TEXT: readonly TomlType[] = ['string'];
const WHOLE: readonly TomlType[] = ['number'];
const SIZE: readonly TomlType[] = ['string', 'number'];
const SWITCH: readonly TomlType[] = ['boolean'];

const SYSTEM = { key: 'system', flag: '--system', types: SWITCH, parse: parseSwitch };
const HTTP = { key: 'http', flag: '--http', types: TEXT, parse: parseHttp };
const HTTP_METRICS = { key: 'httpMetrics', flag: '--http-metrics', types: SWITCH, parse: parseSwitch };
const DRAIN_MS = {
  key: 'drainMs',
  flag: '--drain-ms',
  types: WHOLE,
  parse: (text: string) => parseInteger(text, 0, DRAIN_MS_MAX),
};
const MEMORY_QUOTA = { key: 'memoryQuota', flag: '--memory-quota', types: SIZE, parse: parseSize };
const HUGE_PAGES_USE = {
  key: 'hugePages.use',
  flag: '--huge-pages',
  types: TEXT,
  parse: (text: string) => parseChoice(text, ['auto', 'never'] as const),
};
const HUGE_PAGES_RESERVE = {
  key: 'hugePages.reserve',
  flag: '--huge-pages-reserve',
  types: SIZE,
  parse: parseAmount,
};
const LOG_LEVEL = {
  key: 'logLevel',
  flag: '--log-level',
  types: TEXT,
  parse: (text: string) => parseChoice(text, LogLevels),
};
const RUNTIME_DIR = { key: 'runtimeDir', types: TEXT, parse: requireText };
const STATE_DIR = { key: 'stateDir', types: TEXT, parse: requireText };

function quotaDefinition(scope: QuotaScope, dimension: QuotaDimension): Definition<number> {
  const key = `quotas.${scope}.${dimension}`;
  if (/bytes$/i.test(dimension)) return { key, types: SIZE, parse: parseAmount };
  return { key, types: WHOLE, parse: (text) => parseInteger(text, 0, COUNT_MAX) };
}

/** As `memoryQuota`: a broker without any memory is none. */
const TOTAL_BYTES = { ...quotaDefinition('total', 'bytes'), parse: parseSize };

/** Every key that a configuration file may have. */
export const CONFIG_KEYS: readonly string[] = [
  ...[RUNTIME_DIR, STATE_DIR, SYSTEM, HTTP, HTTP_METRICS, DRAIN_MS, MEMORY_QUOTA, LOG_LEVEL].map(({ key }) => key),
  ...[HUGE_PAGES_USE, HUGE_PAGES_RESERVE].map(({ key }) => key),
  ...QuotaScopes.flatMap((scope) => QUOTA_DIMENSIONS.map((dimension) => quotaDefinition(scope, dimension).key)),
];

/** @throws UsageError that names the flag, the variable, or the key and its place in the file. */
export function resolveSettings({ flags, env, uid }: SettingsSource): BrokerSettings {
  const config = choose({ key: '', flag: '--config', types: [], parse: requireText }, flags.config, env, null);
  const file = config?.value === undefined ? null : ConfigFile.read(config.value);
  file?.requireOnly(CONFIG_KEYS);
  const setting = <T>(definition: Definition<T>, given: string | boolean | undefined, byDefault: T): Setting<T> =>
    choose(definition, given, env, file) ?? { value: byDefault, origin: 'default' };
  const system = setting(SYSTEM, flags.system, uid === 0);
  const where = { env, uid, system: system.value };
  const { runtimeDir, stateDir } = flags;
  return {
    config: config ?? { value: null, origin: 'default' },
    runtimeDir: placed(
      resolveRuntimeDir({ ...where, configured: directoryIn(file, RUNTIME_DIR), ...(runtimeDir && { runtimeDir }) }),
    ),
    stateDir: placed(
      resolveStateDir({ ...where, configured: directoryIn(file, STATE_DIR), ...(stateDir && { stateDir }) }),
    ),
    system,
    http: setting(HTTP, flags.http, { host: '127.0.0.1', port: 7411 }),
    httpMetrics: setting(HTTP_METRICS, flags.httpMetrics, false),
    drainMs: setting(DRAIN_MS, flags.drainMs, 5_000),
    memoryQuotaBytes: memoryQuotaOf(setting<number | null>(MEMORY_QUOTA, flags.memoryQuota, null), file),
    ...hugePagesOf(
      setting<'auto' | 'never'>(HUGE_PAGES_USE, flags.hugePages, 'auto'),
      setting(HUGE_PAGES_RESERVE, flags.hugePagesReserve, 0),
    ),
    quotas: quotasIn(file),
    logLevel: setting<LogLevel>(LOG_LEVEL, flags.logLevel, 'info'),
  };
}

/** @throws UsageError when pages are to be reserved that nobody may use */
function hugePagesOf(use: Setting<'auto' | 'never'>, reserve: Setting<number>) {
  if (use.value === 'never' && reserve.value > 0) {
    throw new UsageError(
      `${use.origin} forbids the large pages that ${reserve.origin} reserves: leave one of them out`,
    );
  }
  return { hugePagesUse: use, hugePagesReserveBytes: reserve };
}

/** Undefined when nobody gives it. An empty variable counts as not set. */
function choose<T>(
  definition: Definition<T>,
  given: string | boolean | undefined,
  env: SettingsSource['env'],
  file: ConfigFile | null,
): Setting<T> | undefined {
  const { key, flag, types } = definition;
  if (flag !== undefined) {
    if (given !== undefined) return parsed(definition, { text: String(given), origin: flag });
    const variable = `LEASEHOLD_${flag.slice(2).replaceAll('-', '_').toUpperCase()}`;
    const text = env[variable];
    if (text !== undefined && text !== '') return parsed(definition, { text, origin: variable });
  }
  const configured = file?.get(key, types);
  return configured === undefined ? undefined : parsed(definition, configured, `${key}: `);
}

function parsed<T>({ parse }: Definition<T>, given: { text: string; origin: string }, name = ''): Setting<T> {
  try {
    return { value: parse(given.text), origin: given.origin };
  } catch (error) {
    const problem = error instanceof Error ? error.message : String(error);
    throw new UsageError(`${given.origin}: ${name}${problem}`, { cause: error });
  }
}

function directoryIn(file: ConfigFile | null, definition: Definition<string>): ResolvedDirectory | undefined {
  const configured = choose(definition, undefined, {}, file);
  if (file === null || configured === undefined) return undefined;
  return { path: file.pathFrom(configured.value), origin: configured.origin };
}

const placed = ({ path, origin }: ResolvedDirectory): Setting<string> => ({ value: path, origin });

/** `memoryQuota` is the short name of the total of all bytes. @throws UsageError when a file gives both */
function memoryQuotaOf(setting: Setting<number | null>, file: ConfigFile | null): Setting<number | null> {
  const total = choose(TOTAL_BYTES, undefined, {}, file);
  if (file === null || total === undefined) return setting;
  if (file.get(MEMORY_QUOTA.key, SIZE) !== undefined) {
    throw file.error(TOTAL_BYTES.key, `is what ${MEMORY_QUOTA.key} is, which is given, too: leave one of them out`);
  }
  return setting.origin === 'default' ? total : setting;
}

/** All but the total of all bytes. @throws UsageError */
function quotasIn(file: ConfigFile | null): BrokerSettings['quotas'] {
  const given = (scope: QuotaScope) =>
    Object.fromEntries(
      QUOTA_DIMENSIONS.flatMap((dimension) => {
        const definition = quotaDefinition(scope, dimension);
        const setting = definition.key === TOTAL_BYTES.key ? undefined : choose(definition, undefined, {}, file);
        return setting === undefined ? [] : [[dimension, setting] as const];
      }),
    );
  return { total: given('total'), perUser: given('perUser') };
}

function requireText(text: string): string {
  if (text !== '') return text;
  throw new UsageError('"" names nothing');
}
