/** What every RPC handler is given, and who calls it. */
import type * as grpc from '@grpc/grpc-js';
import { LeaseholdError } from '@leasehold/proto';
import type { Logger } from 'pino';
import type { BrokerCore } from '../domain/broker-core.ts';
import type { Peer } from '../domain/policy.ts';
import type { Clock } from '../domain/ports.ts';
import type { Session } from '../domain/session.ts';
import type { HugePagesSnapshot } from '../snapshot.ts';

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
  /** Whom the kernel named at the other end of a call’s connection. */
  readonly peerOf: (connectionId: string) => Peer | undefined;
  /** What the Drain RPC asks for; returns at once. */
  readonly onDrain: (drainMs: number) => void;
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
  const [header, ...more] = call.metadata.get('authorization');
  const token = typeof header === 'string' && more.length === 0 ? BEARER.exec(header)?.[1] : undefined;
  if (token === undefined) {
    throw new LeaseholdError('UNAUTHENTICATED', 'The call carries no `authorization: Bearer <base64url token>`.');
  }
  return context.core.sessions.authenticate(Buffer.from(token, 'base64url'), peer.uid);
}
