/**
 * The two ends of whatever sends bytes and calls back when all of a payload has arrived: sockets, streams, ports, doorbells. No promise
 * lies between an arrival and the answer to it.
 */
import { monotonicNs } from '@leasehold/client';
import { checkMark, type Follower, type Leader, mark } from './ends.ts';

/** One end of a line of such a kind. */
export interface Line {
  /** Where the next payload to send is; all of it may be written until `send`. */
  readonly next: Uint8Array;
  send(): void;
  /** Called with each payload that has arrived whole; it is read before the call returns. */
  onArrival: (payload: Uint8Array) => void;
  /** Called when no more can arrive. */
  onFailure: (error: Error) => void;
  close(): Promise<void> | void;
}

/** A line to which nobody listens yet. */
export const DEAF: Pick<Line, 'onArrival' | 'onFailure'> = { onArrival: () => undefined, onFailure: () => undefined };

export class MessageLeader implements Leader {
  readonly #line: Line;
  readonly #payloadBytes: number;
  #number = 0;

  constructor(line: Line, payloadBytes: number) {
    this.#line = line;
    this.#payloadBytes = payloadBytes;
  }

  lead(count: number): Promise<Float64Array> {
    const line = this.#line;
    const done = Promise.withResolvers<Float64Array>();
    const tookNs = new Float64Array(count);
    let index = 0;
    let startedNs = 0;
    line.onFailure = done.reject;
    line.onArrival = (payload) => {
      const heldNs = monotonicNs();
      tookNs[index] = heldNs - startedNs;
      startedNs = heldNs;
      index += 1;
      checkMark(payload, this.#payloadBytes, this.#number);
      if (index === count) done.resolve(tookNs);
      else this.#send();
    };
    startedNs = monotonicNs();
    this.#send();
    return done.promise;
  }

  #send(): void {
    this.#number += 1;
    mark(this.#line.next, this.#number);
    this.#line.send();
  }

  close(): Promise<void> | void {
    return this.#line.close();
  }
}

/** Answers from the moment it is open: what is sent may be here before anybody has asked to follow. */
export class MessageFollower implements Follower {
  readonly #line: Promise<Line>;
  readonly #payloadBytes: number;
  readonly #failed = Promise.withResolvers<never>();
  #number = 0;
  /** The last one to be answered, and what to do then. */
  #last = 0;
  #done: () => void = () => undefined;

  /** `line`: may wait for the leader to connect. */
  constructor(line: Promise<Line>, payloadBytes: number) {
    this.#payloadBytes = payloadBytes;
    this.#line = line.then((connected) => this.#listen(connected));
    // Whoever follows is told.
    this.#line.catch(this.#failed.reject);
    this.#failed.promise.catch(() => undefined);
  }

  #listen(line: Line): Line {
    line.onFailure = this.#failed.reject;
    line.onArrival = (payload) => {
      this.#number += 1;
      checkMark(payload, this.#payloadBytes, this.#number);
      mark(line.next, this.#number);
      line.send();
      if (this.#number === this.#last) this.#done();
    };
    return line;
  }

  follow(count: number): Promise<void> {
    const done = new Promise<void>((resolve) => {
      this.#done = resolve;
    });
    this.#last += count;
    if (this.#number === this.#last) this.#done();
    return Promise.race([done, this.#failed.promise]);
  }

  async close(): Promise<void> {
    await (await this.#line).close();
  }
}
