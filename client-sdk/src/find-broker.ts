/** Where a broker may be: the runtime directories a client looks at, in order (docs/PROTOCOL.md, "Sockets"). */
import { lstatSync } from 'node:fs';
import { join } from 'node:path';
import { LeaseholdError } from '@leasehold/proto';

/** The sockets of one broker. */
export interface BrokerSockets {
  readonly runtimeDir: string;
  readonly controlSocket: string;
  readonly attachSocket: string;
  readonly bellsDir: string;
}

/** `sockaddr_un.sun_path` is 108 bytes with its terminating zero: unix(7). */
const SOCKET_PATH_BYTES_MAX = 107;

export interface WhereToLook {
  /** Only here, when given. */
  readonly runtimeDir?: string | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly uid: number;
}

/** Candidates, most specific first. */
export function runtimeDirCandidates({ runtimeDir, env, uid }: WhereToLook): string[] {
  if (runtimeDir !== undefined) return [runtimeDir];
  const named = env.LEASEHOLD_RUNTIME_DIR;
  if (named !== undefined && named !== '') return [named];
  const xdg = env.XDG_RUNTIME_DIR;
  const own: string[] = [];
  if (uid !== 0 && xdg !== undefined && xdg !== '') own.push(join(xdg, 'leasehold'));
  if (uid !== 0) own.push(`/tmp/leasehold-${uid}`);
  return [...own, '/run/leasehold'];
}

/**
 * The first candidate where a broker has its sockets.
 * @throws LeaseholdError PATH_TOO_LONG; PERMISSION_DENIED, when this user may not even look; BROKER_UNREACHABLE, with every path tried.
 */
export function findBroker(where: WhereToLook): BrokerSockets {
  const candidates = runtimeDirCandidates(where).map(socketsOf);
  // A directory somebody asked for by name is used as it is; one that is merely found must belong to this user or to root, or any
  // user could pose as the broker from /tmp.
  const named = candidates.length === 1;
  let hidden: string | null = null;
  for (const candidate of candidates) {
    const presence = presenceOf(candidate.attachSocket);
    if (presence === 'there' && (named || isTrusted(candidate.runtimeDir, where.uid))) return candidate;
    if (presence === 'hidden') hidden ??= candidate.attachSocket;
  }
  if (hidden !== null) throw forbidden(hidden);
  throw unreachable(candidates.map(({ attachSocket }) => attachSocket));
}

/** `hidden`: in a directory that this user may not search, as that of a broker that is not for the whole system. */
function presenceOf(path: string): 'there' | 'absent' | 'hidden' {
  try {
    return lstatSync(path, { throwIfNoEntry: false }) === undefined ? 'absent' : 'there';
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EACCES' ? 'hidden' : 'absent';
  }
}

function isTrusted(directory: string, uid: number): boolean {
  const owner = lstatSync(directory).uid;
  return owner === 0 || owner === uid;
}

export function socketsOf(runtimeDir: string): BrokerSockets {
  const attachSocket = join(runtimeDir, 'attach.sock');
  const pathBytes = Buffer.byteLength(join(runtimeDir, 'control.sock'));
  if (pathBytes > SOCKET_PATH_BYTES_MAX) {
    throw new LeaseholdError(
      'PATH_TOO_LONG',
      `socket paths may have ${SOCKET_PATH_BYTES_MAX} bytes, those in ${runtimeDir} have ${pathBytes}; use a shorter runtime directory`,
    );
  }
  return {
    runtimeDir,
    controlSocket: join(runtimeDir, 'control.sock'),
    attachSocket,
    bellsDir: join(runtimeDir, 'bells'),
  };
}

export function unreachable(tried: readonly string[], cause?: unknown): LeaseholdError {
  return new LeaseholdError(
    'BROKER_UNREACHABLE',
    `no broker answers at ${tried.join(' or ')}; start one with \`leasehold serve\`, or say where it is with LEASEHOLD_RUNTIME_DIR`,
    { metadata: { tried: tried.join(':').slice(0, 256) }, ...(cause === undefined ? {} : { cause }) },
  );
}

export function forbidden(path: string, cause?: unknown): LeaseholdError {
  return new LeaseholdError(
    'PERMISSION_DENIED',
    `this user may not open ${path}; ask for a system broker, or run as its user`,
    { metadata: { path }, ...(cause === undefined ? {} : { cause }) },
  );
}
