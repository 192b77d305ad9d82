/** What a peer is: another way to hand a payload from one process to another and back, measured beside Leasehold in the same run. */

/** How a side waits: it asks again and again, it sleeps in the kernel, or it sleeps in Node's event loop. */
export type PeerWaiting = 'spin' | 'park' | 'event-loop';

export interface PingPong {
  /** The same both ways. */
  readonly payloadBytes: number;
  /** Those that are timed. */
  readonly roundTrips: number;
  /** Those before them, which are not. */
  readonly warmUp: number;
  /** The core of each side; null leaves both to the scheduler. */
  readonly cores: readonly [number, number] | null;
}

export interface Peer {
  readonly name: string;
  readonly waiting: PeerWaiting;
  /** For the report: versions, queue sizes, flags, whatever decides the figure. */
  readonly settings: string;
  /** Null: it can be measured here. Otherwise why it cannot, for people. */
  available(): Promise<string | null>;
  /** Once before all its ping-pongs: compiles, starts what must run beside them. */
  start(): Promise<void>;
  /** Duration of each timed round trip, in ns, by the initiator's clock. One way is half of it. */
  pingPong(options: PingPong): Promise<readonly number[]>;
  /** Ends and removes all that `start` and `pingPong` made; may be called at any time, more than once. */
  stop(): Promise<void>;
}
