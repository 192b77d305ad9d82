/** Where a broker may be: the runtime directories a client looks at, in order (docs/PROTOCOL.md, "Sockets"). */
import { existsSync, lstatSync } from 'node:fs';
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
 * @throws LeaseholdError PATH_TOO_LONG; BROKER_UNREACHABLE, with every path tried.
 */
export function findBroker(where: WhereToLook): BrokerSockets {
  const candidates = runtimeDirCandidates(where).map(socketsOf);
  // A directory somebody asked for by name is used as it is; one that is merely found must belong to this user or to root, or any
  // user could pose as the broker from /tmp.
  const named = candidates.length === 1;
  const found = candidates.find(
    ({ runtimeDir, attachSocket }) => existsSync(attachSocket) && (named || isTrusted(runtimeDir, where.uid)),
  );
  if (found !== undefined) return found;
  throw unreachable(candidates.map(({ attachSocket }) => attachSocket));
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
