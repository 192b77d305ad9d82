/**
 * Small frames as fast as they go: the publisher never lets go of its core, nor does the subscriber, and nothing is lost, because the channel
 * blocks. Both ends of each frame are written and checked.
 */
import { monotonicNs, type Publisher, type Subscriber } from '@leasehold/client';
import { checkMark, LOOKS_MAX, mark, nothingCame } from '../hand-off/ends.ts';

/** When the first frame that counts was about to be published, ns. */
export function publishOneByOne(publisher: Publisher, leadIn: number, count: number): number {
  publishSingles(publisher, 0, leadIn);
  const startedNs = monotonicNs();
  publishSingles(publisher, leadIn, count);
  return startedNs;
}

function publishSingles(publisher: Publisher, from: number, count: number): void {
  for (let number = from; number < from + count; number += 1) {
    let loan = publisher.tryLoan();
    for (let looks = 0; loan === null; looks += 1) {
      if (looks === LOOKS_MAX) throw nothingCame();
      loan = publisher.tryLoan();
    }
    mark(loan.bytes, number);
    loan.publish();
  }
}

/** When the last was let go, ns. */
export function takeOneByOne(subscriber: Subscriber, count: number, frameBytes: number): number {
  for (let number = 0; number < count; number += 1) {
    let frame = subscriber.tryTake();
    for (let looks = 0; frame === null; looks += 1) {
      if (looks === LOOKS_MAX) throw nothingCame();
      frame = subscriber.tryTake();
    }
    checkMark(frame.bytes, frameBytes, number);
    frame.release();
  }
  return monotonicNs();
}

/** As `publishOneByOne`, as many at once as there are slots for, at most `batch`. */
export function publishInBatches(publisher: Publisher, batch: number, leadIn: number, count: number): number {
  publishBatches(publisher, batch, 0, leadIn);
  const startedNs = monotonicNs();
  publishBatches(publisher, batch, leadIn, count);
  return startedNs;
}

function publishBatches(publisher: Publisher, batch: number, from: number, count: number): void {
  const end = from + count;
  for (let number = from, looks = 0; number < end; looks += 1) {
    const loans = publisher.tryLoanMany(Math.min(batch, end - number));
    if (loans.length > 0) looks = 0;
    else if (looks === LOOKS_MAX) throw nothingCame();
    for (const { bytes } of loans) {
      mark(bytes, number);
      number += 1;
    }
    publisher.publishMany(loans);
  }
}

/** As `takeOneByOne`, as many at once as there are, at most `batch`. */
export function takeInBatches(subscriber: Subscriber, batch: number, count: number, frameBytes: number): number {
  for (let number = 0, looks = 0; number < count; looks += 1) {
    const frames = subscriber.tryTakeMany(batch);
    if (frames.length > 0) looks = 0;
    else if (looks === LOOKS_MAX) throw nothingCame();
    for (const frame of frames) {
      checkMark(frame.bytes, frameBytes, number);
      number += 1;
      frame.release();
    }
  }
  return monotonicNs();
}
