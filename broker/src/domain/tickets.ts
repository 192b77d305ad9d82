/**
 * What an attachment's descriptors are claimed with. A ticket is random, works once, only for the session it was given to, and only
 * for a while; what it promised is taken back by `onExpired` when nobody claims it.
 */
import { LeaseholdError } from '@leasehold/proto';
import type { Attachment } from './attachment.ts';
import type { Clock, Entropy, Timer } from './ports.ts';
import type { Session } from './session.ts';

const TICKET_BYTES = 16;

export interface Ticket {
  readonly bytes: Uint8Array;
  readonly expireTimeMs: number;
}

interface Pending {
  readonly attachment: Attachment;
  readonly timer: Timer;
}

export interface TicketOptions {
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly ttlMs: number;
  readonly onExpired: (attachment: Attachment) => void;
}

export class Tickets {
  readonly #options: TicketOptions;
  /** By digest, so that looking one up tells nothing about others. */
  readonly #pending = new Map<string, Pending>();
  readonly #digests = new Map<Attachment, string>();

  constructor(options: TicketOptions) {
    this.#options = options;
  }

  get count(): number {
    return this.#pending.size;
  }

  issue(attachment: Attachment): Ticket {
    const { clock, entropy, ttlMs, onExpired } = this.#options;
    const bytes = entropy.randomBytes(TICKET_BYTES);
    const digest = entropy.digest(bytes);
    const timer = clock.after(ttlMs, () => {
      this.revoke(attachment);
      onExpired(attachment);
    });
    this.#pending.set(digest, { attachment, timer });
    this.#digests.set(attachment, digest);
    return { bytes, expireTimeMs: clock.nowMs() + ttlMs };
  }

  /** @throws {LeaseholdError} TICKET_INVALID; another session's ticket stays valid */
  redeem(session: Session, ticket: Uint8Array): Attachment {
    const digest = ticket.length === TICKET_BYTES ? this.#options.entropy.digest(ticket) : '';
    const pending = this.#pending.get(digest);
    if (pending === undefined || pending.attachment.session !== session) {
      throw new LeaseholdError('TICKET_INVALID', "The ticket is unknown, used, expired, or another session's.");
    }
    this.revoke(pending.attachment);
    return pending.attachment;
  }

  /** The attachment's ticket, if it has one, is worth nothing any more. */
  revoke(attachment: Attachment): void {
    const digest = this.#digests.get(attachment);
    if (digest === undefined) return;
    this.#digests.delete(attachment);
    this.#pending.get(digest)?.timer.cancel();
    this.#pending.delete(digest);
  }
}
