/** Two channels, one each way. */
import { type Channel, type Frame, type Loan, monotonicNs, type Publisher, type Subscriber } from '@leasehold/client';

import {
  checkMark,
  type EndOptions,
  type Follower,
  type Leader,
  LOOKS_MAX,
  mark,
  nothingCame,
  type Transport,
} from './ends.ts';
import { type Way, waitOf } from './ways.ts';

/** Room for what the subscriber may pin (2), the loan, and one more. */
const SLOTS = 4;

interface Pair {
  readonly publisher: Publisher;
  readonly subscriber: Subscriber;
  readonly payloadBytes: number;
  readonly waiting: Way['waiting'];
}

/** One frame on each side: what is published next, and what was taken last. */
class LeaseholdEnd {
  readonly #pair: Pair;
  /** Of the last payload sent, and of the last taken. */
  #sent = 0;
  #taken = 0;

  constructor(pair: Pair) {
    this.#pair = pair;
  }

  get waiting(): Way['waiting'] {
    return this.#pair.waiting;
  }

  nextLoan(): Loan {
    const loan = this.#pair.publisher.tryLoan() ?? this.#noSlot();
    this.#sent += 1;
    mark(loan.bytes, this.#sent);
    return loan;
  }

  #noSlot(): never {
    throw new Error(`none of ${SLOTS} slots of ${this.#pair.publisher.channel.name} is free`);
  }

  spin(): Frame {
    const { subscriber } = this.#pair;
    for (let looks = 0; looks < LOOKS_MAX; looks += 1) {
      const frame = subscriber.tryTake();
      if (frame !== null) return this.#checked(frame);
    }
    throw nothingCame();
  }

  async sleep(): Promise<Frame> {
    return this.#checked(await this.#pair.subscriber.take());
  }

  sleepSync(): Frame {
    return this.#checked(this.#pair.subscriber.takeSync());
  }

  #checked(frame: Frame | null): Frame {
    if (frame === null) throw new Error('the stream ended');
    this.#taken += 1;
    checkMark(frame.bytes, this.#pair.payloadBytes, this.#taken);
    return frame;
  }

  async close(): Promise<void> {
    await this.#pair.subscriber.close();
    await this.#pair.publisher.close();
  }
}

class LeaseholdLeader implements Leader {
  readonly #end: LeaseholdEnd;

  constructor(end: LeaseholdEnd) {
    this.#end = end;
  }

  lead(count: number): Promise<Float64Array> | Float64Array {
    const end = this.#end;
    if (end.waiting === 'spin') return this.#leadBlocking(count, () => end.spin());
    if (end.waiting === 'park-sync') return this.#leadBlocking(count, () => end.sleepSync());
    return this.#leadAsleep(count);
  }

  #leadBlocking(count: number, wait: () => Frame): Float64Array {
    const end = this.#end;
    const tookNs = new Float64Array(count);
    let loan = end.nextLoan();
    let held: Frame | null = null;
    let startedNs = monotonicNs();
    for (let index = 0; index < count; index += 1) {
      loan.publish();
      held?.release();
      if (index + 1 < count) loan = end.nextLoan();
      held = wait();
      const heldNs = monotonicNs();
      tookNs[index] = heldNs - startedNs;
      startedNs = heldNs;
    }
    held?.release();
    return tookNs;
  }

  async #leadAsleep(count: number): Promise<Float64Array> {
    const end = this.#end;
    const tookNs = new Float64Array(count);
    let loan = end.nextLoan();
    let held: Frame | null = null;
    let startedNs = monotonicNs();
    for (let index = 0; index < count; index += 1) {
      loan.publish();
      held?.release();
      if (index + 1 < count) loan = end.nextLoan();
      held = await end.sleep();
      const heldNs = monotonicNs();
      tookNs[index] = heldNs - startedNs;
      startedNs = heldNs;
    }
    held?.release();
    return tookNs;
  }

  close(): Promise<void> {
    return this.#end.close();
  }
}

class LeaseholdFollower implements Follower {
  readonly #end: LeaseholdEnd;

  constructor(end: LeaseholdEnd) {
    this.#end = end;
  }

  follow(count: number): Promise<void> | void {
    const end = this.#end;
    if (end.waiting === 'spin') return this.#followBlocking(count, () => end.spin());
    if (end.waiting === 'park-sync') return this.#followBlocking(count, () => end.sleepSync());
    return this.#followAsleep(count);
  }

  #followBlocking(count: number, wait: () => Frame): void {
    for (let index = 0; index < count; index += 1) {
      const loan = this.#end.nextLoan();
      const frame = wait();
      loan.publish();
      frame.release();
    }
  }

  async #followAsleep(count: number): Promise<void> {
    for (let index = 0; index < count; index += 1) {
      const loan = this.#end.nextLoan();
      const frame = await this.#end.sleep();
      loan.publish();
      frame.release();
    }
  }

  close(): Promise<void> {
    return this.#end.close();
  }
}

type Direction = 'out' | 'back';

async function openEnd(options: EndOptions, sends: Direction, takes: Direction): Promise<LeaseholdEnd> {
  const { broker, way, payloadBytes } = options;
  // Every way through Leasehold has these two channels in turn: of the large ones, more would be a lot of memory.
  const channelOf = (direction: Direction): Promise<Channel> =>
    broker.createChannel(`bench/hand-off/${payloadBytes}/${direction}`, {
      slotBytes: payloadBytes,
      slots: SLOTS,
      persistent: true,
      ifExists: 'open-if-same',
    });
  const views = way.views ?? 'fenced';
  const publisher = await (await channelOf(sends)).openPublisher({ views });
  const subscriber = await (await channelOf(takes)).subscribe({ views, wait: waitOf(way) });
  return new LeaseholdEnd({ publisher, subscriber, payloadBytes, waiting: way.waiting });
}

export const LEASEHOLD: Transport = {
  openLeader: async (options) => new LeaseholdLeader(await openEnd(options, 'out', 'back')),
  openFollower: async (options) => new LeaseholdFollower(await openEnd(options, 'back', 'out')),
};
