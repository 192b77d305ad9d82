/**
 * The two ends of a hand-off, whatever carries it. Only one payload is ever on its way: the sender goes on when the receiver has told
 * that it holds it, so no queue is measured. Both stamp CLOCK_MONOTONIC, and hand-off k of one is hand-off k of the other.
 *
 *   sent   just before the call that hands the payload over: `loan.publish()`, `socket.write()`, `call.write()`
 *   held   when all of the payload can be read by the receiver
 *
 * Whatever happens before `sent` (having the payload) and after `held` (checking it, letting it go, telling) is not measured.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Broker } from '@leasehold/client';

/** No single hand-off may take longer: the other side is gone, or the transport lost something. */
export const HAND_OFF_LIMIT_MS = 30_000;
/** Pause before each hand-off to a receiver that sleeps, so that it really does. */
const GAP_MS = 1;

export const gap = (): Promise<void> => sleep(GAP_MS);

export interface Sender {
  /** Where the payload is. */
  readonly memory: { readonly pageKind: string; readonly fallbackReason: string | null } | null;
  /** Hands over `count` payloads; `sent` of each. */
  send(count: number): Promise<Float64Array>;
}

export interface Receiver {
  /** Receives `count` payloads; `held` of each. What is sent once this has been called is received. */
  receive(count: number): Promise<Float64Array>;
}

/** What both ends are opened with. The sender is opened first: it is the one that others connect to. */
export interface Bench {
  readonly broker: Broker;
  /** Where sockets are made. */
  readonly directory: string;
}

/** Writes the number of the hand-off at both ends of the payload. */
export function mark(payload: Uint8Array, number: number): void {
  payload[0] = number;
  payload[payload.length - 1] = number;
}

/** @throws Error when this is not the payload of hand-off `number`, or not all of it. */
export function checkMark(payload: ArrayLike<number>, payloadBytes: number, number: number): void {
  const expected = number & 0xff;
  if (payload.length !== payloadBytes || payload[0] !== expected || payload[payloadBytes - 1] !== expected) {
    const ends = `${payload[0]} … ${payload[payload.length - 1]}`;
    throw new Error(
      `hand-off ${number}: ${payload.length} B with ${ends} at the ends, not ${payloadBytes} B with ${expected}`,
    );
  }
}
