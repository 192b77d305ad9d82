/** Taking a request for a lease back whose fate is not known: it may be queued, granted or neither. */
import { setTimeout as sleep } from 'node:timers/promises';
import { type ErrorCode, LeaseholdError } from '@leasehold/proto';
import type { LeaseSeat } from './lease-seat.ts';

/** How soon a withdrawal that was not answered is sent again, ms. */
const WITHDRAW_AGAIN_MS = 100;

/** Whoever hears one of these has not heard the broker's decision. */
const UNDECIDED: readonly ErrorCode[] = [
  'ABORTED',
  'TIMED_OUT',
  'BROKER_LOST',
  'BROKER_UNREACHABLE',
  'CLOSED',
  'INTERNAL',
  'MALFORMED_MESSAGE',
];

/** Whether a request that failed so may have been granted. */
export const isUndecided = (error: unknown): boolean =>
  !(error instanceof LeaseholdError) || UNDECIDED.includes(error.code);

/**
 * Resolves when `holdId` is neither queued nor granted. IMPORTANT: until then it may still be granted, and a participant has one hold
 * at a time. Once `isClosing`, one unanswered try is enough: the end of the attachment takes back what is left.
 */
export async function withdraw(seat: LeaseSeat, holdId: bigint, isClosing: () => boolean): Promise<void> {
  const { broker } = seat;
  while (broker.lost === null) {
    try {
      return await broker.withdraw(holdId);
    } catch (error) {
      // It has answered: it knows nothing of that request, and never will.
      if (!isUndecided(error)) break;
    }
    if (isClosing()) break;
    await sleep(WITHDRAW_AGAIN_MS, undefined, { ref: false });
  }
  seat.withdraw(holdId);
}
