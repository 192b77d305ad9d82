/**
 * The two ends of a hand-off, whatever carries it: a payload goes from the leader to the follower, and one of the same size comes back.
 * A hand-off is half a round trip, so that one clock is enough: the leader's, read once per round trip. Each side writes and checks the
 * first and the last byte of each payload and nothing else; it has its next payload ready before it waits, and lets go of what it has taken
 * after it has answered, so that neither is part of the latency.
 */
import type { Broker } from '@leasehold/client';
import type { Way } from './ways.ts';

/** No wait that spins has more looks, which take ten seconds or more: the other side is gone, or something was lost on the way. */
export const LOOKS_MAX = 1_000_000_000;

export interface Leader {
  /** Duration of each of `count` round trips, ns. */
  lead(count: number): Promise<Float64Array> | Float64Array;
  close(): Promise<void> | void;
}

export interface Follower {
  /** Sends an answer for each of `count` payloads. */
  follow(count: number): Promise<void> | void;
  close(): Promise<void> | void;
}

/** What both ends are opened with. The follower is opened first: it is the one that others connect to. */
export interface EndOptions {
  readonly broker: Broker;
  /** Where sockets and pipes are made. */
  readonly directory: string;
  readonly way: Way;
  readonly payloadBytes: number;
  /** The follower's core, for those that make it themselves. */
  readonly farCore: number | null;
}

export interface Transport {
  openLeader(options: EndOptions): Promise<Leader>;
  openFollower(options: EndOptions): Promise<Follower>;
}

/** Writes the number of the hand-off at both ends of the payload. */
export function mark(payload: Uint8Array, number: number): void {
  payload[0] = number;
  payload[payload.length - 1] = number;
}

/** @throws Error when this is not the payload of hand-off `number`, or not all of it. */
export function checkMark(
  payload: { readonly length: number; readonly [index: number]: number },
  payloadBytes: number,
  number: number,
): void {
  const expected = number & 0xff;
  const last = payload.length - 1;
  if (last + 1 === payloadBytes && payload[0] === expected && payload[last] === expected) return;
  throw new Error(
    `hand-off ${number}: ${payload.length} B with ${payload[0]} … ${payload[last]} at the ends, not ${payloadBytes} B with ${expected}`,
  );
}

/** What is thrown when nothing was found in LOOKS_MAX looks. */
export const nothingCame = (): Error => new Error(`nothing came from the other side in ${LOOKS_MAX} looks`);
