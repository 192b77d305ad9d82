/** Hand-offs that are timed from just before `publish()` here to having the frame there; one frame is on its way at a time. */
import { setTimeout as sleep } from 'node:timers/promises';
import { monotonicNs, type Publisher } from '@leasehold/client';
import { LOOKS_MAX, mark, nothingCame } from './hand-off/ends.ts';

/** Pause before each frame to receivers that sleep, so that they do, and so does the sender. */
const GAP_MS = 1;
/** Pauses after which nobody will hold the frame any more. */
const GAPS_MAX = 10_000;

/** When the last receiver held frame `number`; null: not yet. */
export type HeldByAll = (number: number) => number | null;

/** How long one frame took, receivers and sender spinning, ns. */
export function sendSpinning(publisher: Publisher, number: number, heldByAll: HeldByAll): number {
  const sentNs = publishMarked(publisher, number);
  for (let looks = 0; looks < LOOKS_MAX; looks += 1) {
    const heldNs = heldByAll(number);
    if (heldNs !== null) return heldNs - sentNs;
  }
  throw nothingCame();
}

/** How long one frame took to receivers that sleep, ns. */
export async function sendToSleepers(publisher: Publisher, number: number, heldByAll: HeldByAll): Promise<number> {
  await sleep(GAP_MS);
  const sentNs = publishMarked(publisher, number);
  for (let gaps = 0; gaps < GAPS_MAX; gaps += 1) {
    await sleep(GAP_MS);
    const heldNs = heldByAll(number);
    if (heldNs !== null) return heldNs - sentNs;
  }
  throw new Error(`frame ${number} was not held by everybody in ${GAPS_MAX * GAP_MS} ms`);
}

function publishMarked(publisher: Publisher, number: number): number {
  const loan = publisher.tryLoan();
  if (loan === null) throw new Error(`no slot of ${publisher.channel.name} is free`);
  mark(loan.bytes, number);
  const sentNs = monotonicNs();
  loan.publish();
  return sentNs;
}
