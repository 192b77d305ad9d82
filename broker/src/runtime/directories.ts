/**
 * Where a broker keeps what lives as long as it runs (sockets) and what outlives it (the epoch). Pure: environment and user are
 * passed in. Every answer says where it is from, for `--print-config`. Empty and, for XDG, relative values count as not given.
 */
import { isAbsolute, join, resolve } from 'node:path';

export interface DirectoryOptions {
  /** A system broker serves other users too; root's always is one. */
  readonly system?: boolean;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly uid: number;
  /** What a configuration file says: it counts where neither flag nor variable does. */
  readonly configured?: ResolvedDirectory | undefined;
}

export interface ResolvedDirectory {
  /** Absolute. */
  readonly path: string;
  /** The flag, variable or place in a file that named it, or `default`. */
  readonly origin: string;
}

/** The runtime directory of a broker: flag, our variable, systemd's, the configuration file, then the default of the user. */
export function resolveRuntimeDir(options: DirectoryOptions & { readonly runtimeDir?: string }): ResolvedDirectory {
  const { env, uid, configured } = options;
  if (options.runtimeDir) return { path: resolve(options.runtimeDir), origin: '--runtime-dir' };
  const named = fromVariables(env, 'LEASEHOLD_RUNTIME_DIR', 'RUNTIME_DIRECTORY');
  if (named !== undefined) return named;
  if (configured !== undefined) return configured;
  if (uid === 0 || options.system) return { path: '/run/leasehold', origin: 'default' };
  const xdg = env.XDG_RUNTIME_DIR;
  if (xdg && isAbsolute(xdg)) return { path: join(xdg, 'leasehold'), origin: 'XDG_RUNTIME_DIR' };
  return { path: `/tmp/leasehold-${uid}`, origin: 'default' };
}

/** The state directory of a broker, in the same order. @throws Error when nothing names one and the user has no home. */
export function resolveStateDir(options: DirectoryOptions & { readonly stateDir?: string }): ResolvedDirectory {
  const { env, uid, configured } = options;
  if (options.stateDir) return { path: resolve(options.stateDir), origin: '--state-dir' };
  const named = fromVariables(env, 'LEASEHOLD_STATE_DIR', 'STATE_DIRECTORY');
  if (named !== undefined) return named;
  if (configured !== undefined) return configured;
  if (uid === 0 || options.system) return { path: '/var/lib/leasehold', origin: 'default' };
  const xdg = env.XDG_STATE_HOME;
  if (xdg && isAbsolute(xdg)) return { path: join(xdg, 'leasehold'), origin: 'XDG_STATE_HOME' };
  const home = env.HOME;
  if (home && isAbsolute(home)) return { path: join(home, '.local/state/leasehold'), origin: 'HOME' };
  throw new Error('no place to keep the epoch: HOME is not set; name a directory with --state-dir');
}

/** systemd lists several directories with colons between them; ours is the first. */
function fromVariables(env: DirectoryOptions['env'], ours: string, systemds: string): ResolvedDirectory | undefined {
  const own = env[ours];
  if (own) return { path: resolve(own), origin: ours };
  const first = env[systemds]?.split(':')[0];
  return first ? { path: resolve(first), origin: systemds } : undefined;
}
