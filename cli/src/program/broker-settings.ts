/**
 * What `leasehold serve` is told: flag, else environment, else default. Each value remembers where it is from, for `--print-config`
 * and for errors, which must name what was wrong and not only its value.
 */
import { type LogLevel, LogLevels, resolveRuntimeDir, resolveStateDir } from '@leasehold/broker';
import { UsageError } from './errors.ts';
import { parseChoice, parseHttp, parseInteger, parseSize, parseSwitch } from './parse.ts';

const DRAIN_MS_MAX = 24 * 60 * 60 * 1000;

/** Flags as commander leaves them: text, or true for a switch. */
export interface ServeFlags {
  readonly runtimeDir?: string;
  readonly stateDir?: string;
  readonly system?: boolean;
  readonly http?: string;
  readonly httpMetrics?: boolean;
  readonly drainMs?: string;
  readonly memoryQuota?: string;
  readonly logLevel?: string;
}

export interface Setting<T> {
  readonly value: T;
  /** A flag, a variable, or `default`. */
  readonly origin: string;
}

export interface BrokerSettings {
  readonly runtimeDir: Setting<string>;
  readonly stateDir: Setting<string>;
  readonly system: Setting<boolean>;
  readonly http: Setting<'off' | { readonly host: string; readonly port: number }>;
  readonly httpMetrics: Setting<boolean>;
  readonly drainMs: Setting<number>;
  /** Null: the broker decides by the machine's memory. */
  readonly memoryQuotaBytes: Setting<number | null>;
  readonly logLevel: Setting<LogLevel>;
}

export interface SettingsSource {
  readonly flags: ServeFlags;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly uid: number;
}

/** @throws UsageError that names the flag or variable. */
export function resolveSettings({ flags, env, uid }: SettingsSource): BrokerSettings {
  const setting = <T>(flag: string, given: string | boolean | undefined, parse: (text: string) => T, byDefault: T) =>
    choose({ flag, given, env, parse, byDefault });
  const system = setting('--system', flags.system, parseSwitch, uid === 0);
  const where = { env, uid, system: system.value };
  const runtimeDir = resolveRuntimeDir({ ...where, ...(flags.runtimeDir && { runtimeDir: flags.runtimeDir }) });
  const stateDir = resolveStateDir({ ...where, ...(flags.stateDir && { stateDir: flags.stateDir }) });
  return {
    runtimeDir: { value: runtimeDir.path, origin: runtimeDir.origin },
    stateDir: { value: stateDir.path, origin: stateDir.origin },
    system,
    http: setting('--http', flags.http, parseHttp, { host: '127.0.0.1', port: 7411 }),
    httpMetrics: setting('--http-metrics', flags.httpMetrics, parseSwitch, false),
    drainMs: setting('--drain-ms', flags.drainMs, (text) => parseInteger(text, 0, DRAIN_MS_MAX), 5_000),
    memoryQuotaBytes: setting<number | null>('--memory-quota', flags.memoryQuota, parseSize, null),
    logLevel: setting<LogLevel>('--log-level', flags.logLevel, (text) => parseChoice(text, LogLevels), 'info'),
  };
}

interface Choice<T> {
  readonly flag: string;
  readonly given: string | boolean | undefined;
  readonly env: SettingsSource['env'];
  readonly parse: (text: string) => T;
  readonly byDefault: T;
}

/** The variable of `--drain-ms` is `LEASEHOLD_DRAIN_MS`, and so on. An empty variable counts as not set. */
function choose<T>({ flag, given, env, parse, byDefault }: Choice<T>): Setting<T> {
  const variable = `LEASEHOLD_${flag.slice(2).replaceAll('-', '_').toUpperCase()}`;
  const [text, origin] = given === undefined ? [env[variable], variable] : [String(given), flag];
  if (text === undefined || (text === '' && origin === variable)) return { value: byDefault, origin: 'default' };
  try {
    return { value: parse(text), origin };
  } catch (error) {
    throw new UsageError(`${origin}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  }
}
