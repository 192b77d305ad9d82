/**
 * Every session, and who may act as one. Invariants: a token belongs to one living session and one uid; tokens are kept as digests,
 * so that looking one up tells nothing about others; a session counts against its user until its process can touch nothing more.
 */
import { LeaseholdError } from '@leasehold/proto';
import type { Limits } from './limits.ts';
import type { Peer } from './policy.ts';
import type { Clock, Entropy } from './ports.ts';
import type { Quotas, Taken } from './quotas.ts';
import { Session } from './session.ts';

const TOKEN_BYTES = 32;
/** Its connection, and a handle of its process; its doorbell is its own. */
const DESCRIPTORS = 2;
export const SESSION_NAME_CHARACTERS_MAX = 100;

export class SessionTable {
  readonly #clock: Clock;
  readonly #entropy: Entropy;
  readonly #limits: Limits;
  readonly #quota: Quotas;
  readonly #living = new Map<bigint, Session>();
  readonly #byDigest = new Map<string, Session>();
  readonly #digests = new Map<Session, string>();
  /** Of those too that are over and not vacated. */
  readonly #taken = new Map<Session, Taken>();
  #lastId = 0n;

  constructor({ clock, entropy }: { clock: Clock; entropy: Entropy }, limits: Limits, quota: Quotas) {
    this.#clock = clock;
    this.#entropy = entropy;
    this.#limits = limits;
    this.#quota = quota;
  }

  /** How many are living. */
  get count(): number {
    return this.#living.size;
  }

  /** @throws {LeaseholdError} INVALID_ARGUMENT, TOO_MANY_SESSIONS, QUOTA_EXCEEDED */
  open(peer: Peer, name: string, bell: Uint8Array | null): { session: Session; token: Uint8Array } {
    if (name.length > SESSION_NAME_CHARACTERS_MAX) {
      throw new LeaseholdError(
        'INVALID_ARGUMENT',
        `The client's name has ${name.length} characters; ${SESSION_NAME_CHARACTERS_MAX} is the most.`,
        { metadata: { field: 'name' } },
      );
    }
    const taken = this.#quota.take(peer.uid, { sessions: 1, descriptors: DESCRIPTORS });
    this.#lastId += 1n;
    const identity = { id: this.#lastId, peer, name: name.toWellFormed(), bell, createTimeMs: this.#clock.nowMs() };
    const session = new Session(identity, this.#limits.pendingSessionEvents);
    const token = this.#entropy.randomBytes(TOKEN_BYTES);
    const digest = this.#entropy.digest(token);
    this.#living.set(session.id, session);
    this.#taken.set(session, taken);
    this.#byDigest.set(digest, session);
    this.#digests.set(session, digest);
    return { session, token };
  }

  /** @throws {LeaseholdError} UNAUTHENTICATED */
  authenticate(token: Uint8Array, uid: number): Session {
    const session = token.length === TOKEN_BYTES ? this.#byDigest.get(this.#entropy.digest(token)) : undefined;
    if (session === undefined || session.peer.uid !== uid) {
      throw new LeaseholdError('UNAUTHENTICATED', 'The token is not that of a living session of this user.');
    }
    return session;
  }

  /** @throws {LeaseholdError} SESSION_NOT_FOUND */
  require(id: bigint): Session {
    const session = this.#living.get(id);
    if (session !== undefined) return session;
    throw new LeaseholdError('SESSION_NOT_FOUND', `No living session has the id ${id}.`, {
      metadata: { id: String(id) },
    });
  }

  living(): Session[] {
    return [...this.#living.values()];
  }

  /** The token is worth nothing any more. @returns false when the session had ended before */
  end(session: Session): boolean {
    if (!this.#living.delete(session.id)) return false;
    const digest = this.#digests.get(session);
    if (digest !== undefined) this.#byDigest.delete(digest);
    this.#digests.delete(session);
    session.end();
    return true;
  }

  /** Forgets an ended session once none of its attachments is left. */
  settle(session: Session): void {
    if (!session.ended || session.vacated || session.attachments.size > 0) return;
    this.#taken.get(session)?.release();
    this.#taken.delete(session);
    session.vacate();
  }
}
