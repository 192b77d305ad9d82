/**
 * Large frames, really written and really read. `inTurn`: one process writes while the other waits, and then reads while the first
 * waits, so that the figure is the sum of what both cost; in one process's own memory it is the same without any hand-off. `atOnce`:
 * the next frame is written while this one is read.
 */
import { type Loan, monotonicNs, type Publisher, type Subscriber } from '@leasehold/client';
import { LOOKS_MAX, nothingCame } from '../hand-off/ends.ts';
import { readAll, wordsOf, writeAll } from './words.ts';

/** As many as a channel has slots, so that caches are of the same use to both. */
export const BUFFERS = 4;

function loanSpinning(publisher: Publisher): Loan {
  for (let looks = 0; looks < LOOKS_MAX; looks += 1) {
    const loan = publisher.tryLoan();
    if (loan !== null) return loan;
  }
  throw nothingCame();
}

function takeSpinning(subscriber: Subscriber, read: (payload: Uint8Array) => void): void {
  for (let looks = 0; looks < LOOKS_MAX; looks += 1) {
    const frame = subscriber.tryTake();
    if (frame === null) continue;
    read(frame.asUint8Array());
    frame.release();
    return;
  }
  throw nothingCame();
}

/** @returns how long each frame took until the other side had read it, ns */
export function publishInTurn(publisher: Publisher, answers: Subscriber, count: number): Float64Array {
  return timed(count, (number) => {
    publishWritten(publisher, number);
    takeSpinning(answers, () => undefined);
  });
}

export function takeInTurn(subscriber: Subscriber, answers: Publisher, count: number): void {
  for (let number = 0; number < count; number += 1) {
    takeAndRead(subscriber, number);
    loanSpinning(answers).publish();
  }
}

/** @returns when the first that counts was about to be written, ns */
export function publishAtOnce(publisher: Publisher, leadIn: number, count: number): number {
  for (let number = 0; number < leadIn; number += 1) publishWritten(publisher, number);
  const startedNs = monotonicNs();
  for (let number = leadIn; number < leadIn + count; number += 1) publishWritten(publisher, number);
  return startedNs;
}

/** @returns when the last was let go, ns */
export function takeAtOnce(subscriber: Subscriber, count: number): number {
  for (let number = 0; number < count; number += 1) takeAndRead(subscriber, number);
  return monotonicNs();
}

function publishWritten(publisher: Publisher, number: number): void {
  const loan = loanSpinning(publisher);
  writeAll(wordsOf(loan.bytes), number);
  loan.publish();
}

const takeAndRead = (subscriber: Subscriber, number: number): void =>
  takeSpinning(subscriber, (payload) => readAll(wordsOf(payload), number));

/** The same in one process. */
export function writeAndRead(buffers: readonly Float64Array[], count: number): Float64Array {
  return timed(count, (number) => {
    const words = buffers[number % buffers.length];
    if (words === undefined) return;
    writeAll(words, number);
    readAll(words, number);
  });
}

/** From each buffer to the next. */
export function copy(buffers: readonly Float64Array[], count: number): Float64Array {
  return timed(count, (number) => {
    const from = buffers[number % buffers.length];
    const to = buffers[(number + 1) % buffers.length];
    if (from !== undefined) to?.set(from);
  });
}

export const makeBuffers = (payloadBytes: number): readonly Float64Array[] =>
  Array.from({ length: BUFFERS }, () => new Float64Array(payloadBytes / Float64Array.BYTES_PER_ELEMENT).fill(1));

function timed(count: number, work: (number: number) => void): Float64Array {
  const tookNs = new Float64Array(count);
  let startedNs = monotonicNs();
  for (let number = 0; number < count; number += 1) {
    work(number);
    const nowNs = monotonicNs();
    tookNs[number] = nowNs - startedNs;
    startedNs = nowNs;
  }
  return tookNs;
}
