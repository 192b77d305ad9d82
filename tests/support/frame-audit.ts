/** What a subscriber holds every frame to, and what it reports: whole, in order, every gap accounted, no token older than one seen. */
import type { Frame, Subscriber } from '@leasehold/client';
import { type CheckedFrame, readChecked } from './checked-frames.ts';

export interface AuditReport {
  readonly taken: number;
  readonly lost: number;
  readonly skipped: number;
  /** Frames whose payload was not what was written. */
  readonly torn: number;
  /** The first faults of any kind, as text. */
  readonly faults: readonly string[];
  readonly first: bigint;
  readonly last: bigint;
  /** Fencing tokens in the order in which they were first seen. */
  readonly tokens: readonly bigint[];
}

const FAULTS_KEPT = 10;

export class FrameAudit {
  readonly #subscriber: Subscriber;
  readonly #numberedFrom: bigint | null;
  /** What was in the frames that were checked. */
  readonly #contents = new WeakMap<Frame, CheckedFrame>();
  readonly #faults: string[] = [];
  readonly #tokens: bigint[] = [];
  #first = 0n;
  #last: bigint | null = null;
  #passedOver = 0;
  #lastNumber = -1;
  #torn = 0;

  /** `numberedFrom`: the sequence of the frame that its writer numbered 0, where there is only one writer; null: not known. */
  constructor(subscriber: Subscriber, numberedFrom: bigint | null = null) {
    this.#subscriber = subscriber;
    this.#numberedFrom = numberedFrom;
  }

  /** Whether the payload of a frame that was checked before is still what it was. */
  recheck(frame: Frame): void {
    const was = this.#contents.get(frame);
    const is = readChecked(frame.asUint8Array());
    if (typeof is === 'string') this.#fault(`frame ${frame.sequence}, while it was held: ${is}`, true);
    else if (is.number !== was?.number || is.fencingToken !== was.fencingToken) {
      this.#fault(`frame ${frame.sequence}, while it was held, became number ${is.number} of ${is.fencingToken}`, true);
    }
  }

  check(frame: Frame): void {
    const { sequence } = frame;
    const read = readChecked(frame.asUint8Array());
    if (typeof read === 'string') this.#fault(`frame ${sequence}: ${read}`, true);
    else this.#checkContents(frame, read);
    this.#checkOrder(sequence);
  }

  #checkContents(frame: Frame, contents: CheckedFrame): void {
    const { sequence, info } = frame;
    const { number, fencingToken } = contents;
    this.#contents.set(frame, contents);
    if (this.#numberedFrom !== null && sequence !== this.#numberedFrom + BigInt(number)) {
      this.#fault(`frame ${sequence} is number ${number} of its writer, whose first was ${this.#numberedFrom}`, true);
    }
    if (info.sequence !== sequence) this.#fault(`frame ${sequence}: its descriptor says ${info.sequence}`);
    if (info.fencingToken !== fencingToken) {
      this.#fault(`frame ${sequence}: token ${info.fencingToken}, its writer had ${fencingToken}`, true);
    }
    const newest = this.#tokens.at(-1);
    if (fencingToken !== newest) {
      if (newest !== undefined && fencingToken < newest)
        this.#fault(`frame ${sequence}: ${fencingToken} after ${newest}`);
      this.#tokens.push(fencingToken);
    } else if (number <= this.#lastNumber) {
      this.#fault(`frame ${sequence}: number ${number} of its writer after ${this.#lastNumber}`);
    }
    this.#lastNumber = number;
  }

  #checkOrder(sequence: bigint): void {
    const { lost, skipped } = this.#subscriber;
    const passedOver = lost + skipped;
    if (this.#last === null) this.#first = sequence;
    else if (sequence - this.#last - 1n !== BigInt(passedOver - this.#passedOver)) {
      this.#fault(`${sequence} after ${this.#last}, with ${passedOver - this.#passedOver} reported lost in between`);
    }
    this.#passedOver = passedOver;
    this.#last = sequence;
  }

  #fault(text: string, torn = false): void {
    if (torn) this.#torn += 1;
    if (this.#faults.length < FAULTS_KEPT) this.#faults.push(text);
  }

  report(): AuditReport {
    const { taken, lost, skipped } = this.#subscriber;
    const [first, last] = [this.#first, this.#last ?? 0n];
    return { taken, lost, skipped, torn: this.#torn, faults: this.#faults, tokens: this.#tokens, first, last };
  }
}
