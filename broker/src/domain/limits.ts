/**
 * Every bound of the broker that is no quota (quota-limits.ts), in one table. Owns no state; whoever starts a broker may replace single
 * values.
 */

export interface Limits {
  readonly attachmentsPerSession: number;
  /** How long a ticket may stay unclaimed, ms. */
  readonly ticketTtlMs: number;
  /** Bounds of a lease's time to live, and what it is when nothing is asked, ms. */
  readonly leaseTtlMsMin: number;
  readonly leaseTtlMsMax: number;
  readonly leaseTtlMsDefault: number;
  /** The longest wait for a lease, ms. */
  readonly leaseWaitMsMax: number;
  /** Events kept for a session that does not watch itself yet. */
  readonly pendingSessionEvents: number;
  /** Messages that wait for a stream's reader before the stream is ended. */
  readonly pendingStreamMessages: number;
  /** Unary calls of one session that are begun in one turn of the event loop; the next ones wait for the next. */
  readonly callsPerTurn: number;
  /** Streams of one session that tell what changes. */
  readonly watchesPerSession: number;
  /** How long a stream that has failed may stay unread before it is reset, ms. */
  readonly unreadStreamMs: number;
  /** Connections to the control socket, of one user and of all; the reserved ones of these are for root and the own user. */
  readonly controlConnectionsPerUid: number;
  readonly controlConnections: number;
  readonly controlConnectionsReserved: number;
  /** The same, of users who may not connect: they can only be told so. */
  readonly deniedConnectionsPerUid: number;
  readonly deniedConnections: number;
  /** How long a control connection may take to its first call, ms. */
  readonly firstCallMs: number;
  /** Attach connections that have not said Hello, of one user and of all. */
  readonly unwelcomedPerUid: number;
  readonly unwelcomed: number;
  /** Of these, kept for root and the broker's own user. */
  readonly unwelcomedReserved: number;
  /** How long an attach connection may take to its Hello, ms. */
  readonly helloMs: number;
}

export const DEFAULT_LIMITS: Limits = {
  attachmentsPerSession: 1024,
  ticketTtlMs: 10_000,
  leaseTtlMsMin: 100,
  leaseTtlMsMax: 60_000,
  leaseTtlMsDefault: 5_000,
  leaseWaitMsMax: 24 * 3_600_000,
  pendingSessionEvents: 256,
  pendingStreamMessages: 1024,
  callsPerTurn: 8,
  watchesPerSession: 16,
  unreadStreamMs: 2000,
  controlConnectionsPerUid: 1152,
  controlConnections: 4608,
  controlConnectionsReserved: 256,
  deniedConnectionsPerUid: 4,
  deniedConnections: 64,
  firstCallMs: 10_000,
  unwelcomedPerUid: 64,
  unwelcomed: 256,
  unwelcomedReserved: 64,
  helloMs: 2000,
};
