/** Every bound of the broker in one table. Owns no state; whoever starts a broker may replace single values. */

export interface Limits {
  /** Sessions of one user, those counted too whose process may still touch memory. */
  readonly sessionsPerUid: number;
  readonly attachmentsPerSession: number;
  /** Mappings and channels together, those being created counted too. */
  readonly mappings: number;
  /** How long a ticket may stay unclaimed, ms. */
  readonly ticketTtlMs: number;
  /** Events kept for a session that does not watch itself yet. */
  readonly pendingSessionEvents: number;
  /** Messages that wait for a stream's reader before the stream is ended. */
  readonly pendingStreamMessages: number;
  /** Connections to the control socket, of one user. */
  readonly controlConnectionsPerUid: number;
  /** How long a control connection may take to its first call, ms. */
  readonly firstCallMs: number;
  /** Attach connections that have not said Hello, of one user and of all. */
  readonly unwelcomedPerUid: number;
  readonly unwelcomed: number;
  /** How long an attach connection may take to its Hello, ms. */
  readonly helloMs: number;
}

export const DEFAULT_LIMITS: Limits = {
  sessionsPerUid: 1024,
  attachmentsPerSession: 1024,
  mappings: 4096,
  ticketTtlMs: 10_000,
  pendingSessionEvents: 256,
  pendingStreamMessages: 1024,
  controlConnectionsPerUid: 512,
  firstCallMs: 10_000,
  unwelcomedPerUid: 64,
  unwelcomed: 256,
  helloMs: 2000,
};
