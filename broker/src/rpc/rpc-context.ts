/** What every RPC handler is given, and who calls it. */
import type * as grpc from '@grpc/grpc-js';
import { LeaseholdError } from '@leasehold/proto';
import type { Logger } from 'pino';
import type { BrokerCore } from '../domain/broker-core.ts';
import type { Peer } from '../domain/policy.ts';
import type { Clock } from '../domain/ports.ts';
import type { Session } from '../domain/session.ts';
import type { HugePagesSnapshot } from '../snapshot.ts';
import type { CallTurns } from './call-turns.ts';

export interface BrokerFacts {
  readonly version: string;
  readonly pid: number;
  readonly uid: number;
  readonly startTimeMs: number;
  readonly runtimeDir: string;
}

export interface RpcContext {
  readonly core: BrokerCore;
  readonly logger: Logger;
  readonly facts: BrokerFacts;
  readonly clock: Clock;
  /** The kernel's pools of large pages, and our part in them. */
  readonly hugePages: () => readonly HugePagesSnapshot[];
  /** How many streams of each session tell what changes. */
  readonly watches: WeakMap<Session, number>;
  /** Who called last on each connection, so that a token is looked up once, and not for each of its calls. */
  readonly callers: WeakMap<Peer, KnownCaller>;
  /** When a session's unary calls are begun. */
  readonly turns: CallTurns;
  /** Whom the kernel named at the other end of a call’s connection: the same object for all its calls. */
  readonly peerOf: (connectionId: string) => Peer | undefined;
  /** What the Drain RPC asks for; returns at once. */
  readonly onDrain: (drainMs: number) => void;
}

/** @internal */
export interface KnownCaller {
  readonly header: string;
  readonly session: Session;
}

interface Call {
  readonly metadata: grpc.Metadata;
  getPeer(): string;
}

const BEARER = /^bearer ([A-Za-z0-9_-]{43})=?$/i;

/** @throws {LeaseholdError} UNAUTHENTICATED */
export function peerOf(context: RpcContext, call: Call): Peer {
  const peer = context.peerOf(call.getPeer());
  if (peer !== undefined) return peer;
  throw new LeaseholdError('UNAUTHENTICATED', 'The connection of this call is closed.');
}

/** The session whose token the call carries. @throws {LeaseholdError} UNAUTHENTICATED */
export function callerOf(context: RpcContext, call: Call): Session {
  const peer = peerOf(context, call);
  const headers = call.metadata.get('authorization');
  const [header] = headers;
  const known = context.callers.get(peer);
  if (known !== undefined && known.header === header && headers.length === 1 && !known.session.ended) {
    return known.session;
  }
  const token = typeof header === 'string' && headers.length === 1 ? BEARER.exec(header)?.[1] : undefined;
  if (typeof header !== 'string' || token === undefined) {
    throw new LeaseholdError('UNAUTHENTICATED', 'The call carries no `authorization: Bearer <base64url token>`.');
  }
  const session = context.core.sessions.authenticate(Buffer.from(token, 'base64url'), peer.uid);
  context.callers.set(peer, { header, session });
  return session;
}
