/**
 * The seats of one mapping in this session: readers share a `read` attachment, writers a `write` one. Each is made at its first use and
 * lives as long as the session, or until the mapping is found deleted.
 */
import { LeaseholdError } from '@leasehold/proto';
import type { LockMode } from '@leasehold/shm-core/internal';
import { type Attached, attachMapping } from './attach-mapping.ts';
import { Lease } from './lease.ts';
import { LeasePages } from './lease-pages.ts';
import { LeaseQueue } from './lease-queue.ts';
import { LeaseSeat } from './lease-seat.ts';
import { leaseTermsFrom } from './lease-terms.ts';
import { type Limits, withLimits } from './limits.ts';
import type { MappingInfo } from './plain-types.ts';
import type { Session, SessionChild } from './session.ts';
import { SessionLeaseBroker } from './session-lease-broker.ts';

/** How long the broker may take to attach, ms: several may wait for the same attachment, each with bounds of his own. */
const ATTACH_TIMEOUT_MS = 10_000;

export class MappingSeats {
  readonly #session: Session;
  readonly #mapping: MappingInfo;
  readonly #seats: { shared: OpenSeat | null; exclusive: OpenSeat | null } = { shared: null, exclusive: null };
  /** Its memory was given back because of that. */
  deleted = false;
  readonly #opening: Partial<Record<LockMode, Promise<OpenSeat>>> = {};

  constructor(session: Session, mapping: MappingInfo) {
    this.#session = session;
    this.#mapping = mapping;
  }

  /** Null before its first use, and for what is no mode. */
  get(mode: LockMode): OpenSeat | null {
    if (mode === 'shared') return this.#seats.shared;
    return mode === 'exclusive' ? this.#seats.exclusive : null;
  }

  /** What memory says of the data, if this process has it mapped for leases; else null. */
  get dirty(): boolean | null {
    const open = this.#seats.exclusive ?? this.#seats.shared;
    return open === null || open.closing ? null : open.seat.dirty;
  }

  /** @throws as `attachMapping`. */
  async open(mode: LockMode, limits: Limits): Promise<OpenSeat> {
    const there = this.get(mode);
    if (there !== null) return there;
    this.#opening[mode] ??= this.#open(mode).finally(() => {
      delete this.#opening[mode];
    });
    return withLimits(this.#opening[mode], limits.rest(), `a place in ${this.#mapping.name}`, () => undefined);
  }

  #open(mode: LockMode): Promise<OpenSeat> {
    const session = this.#session;
    return session.opening({ timeoutMs: ATTACH_TIMEOUT_MS }, async (limits) => {
      const access = mode === 'exclusive' ? 'write' : 'read';
      const attached = await attachMapping(session, this.#mapping, { access, forLeases: true }, limits);
      try {
        const seat = new OpenSeat(session, this.#mapping, { mode, onDeleted: () => this.look() }, attached);
        session.adopt(seat);
        this.#seats[mode] = seat;
        return seat;
      } catch (error) {
        attached.mapping.release();
        void session.detach(attached.attachmentId);
        throw error;
      }
    });
  }

  /** Somebody rang: memory of a mapping that was deleted is given back as soon as nobody here uses it. */
  look(): void {
    for (const mode of ['shared', 'exclusive'] as const) {
      const open = this.get(mode);
      if (open === null || open.closing) continue;
      open.seat.look();
      if (!open.seat.deleted || open.busy) continue;
      this.deleted = true;
      this.#seats[mode] = null;
      open.close().catch(() => undefined);
    }
    // Its name is gone for good, and whoever still has this has no need of the session to find it.
    if (this.deleted && this.#seats.shared === null && this.#seats.exclusive === null) {
      this.#session.forgetSeats(this.#mapping.id);
    }
  }

  /** The broker is gone: what it would have removed is given back. */
  onBrokerLost(): void {
    for (const mode of ['shared', 'exclusive'] as const) this.get(mode)?.seat.clearOverdue();
  }
}

/** A seat, and who waits for it. */
export class OpenSeat implements SessionChild {
  readonly seat: LeaseSeat;
  readonly queue: LeaseQueue;
  readonly #session: Session;
  readonly #attachmentId: bigint;
  #closing: Promise<void> | null = null;

  /** @throws LeaseholdError MALFORMED_MESSAGE; the attachment is the caller's then. */
  constructor(
    session: Session,
    { name }: MappingInfo,
    { mode, onDeleted }: { readonly mode: LockMode; readonly onDeleted: () => void },
    attached: Attached,
  ) {
    const { mapping, attachmentId, leaseTerms } = attached;
    this.#session = session;
    this.#attachmentId = attachmentId;
    const fetchPages = (indices: readonly number[]) => session.pages.fetch(mapping.id, indices);
    this.seat = new LeaseSeat({
      name,
      mode,
      mapping,
      terms: leaseTermsFrom(leaseTerms),
      clock: session.clock,
      broker: new SessionLeaseBroker(session, name, mapping, attachmentId),
      pages: mode === 'exclusive' ? new LeasePages(mapping.lock, mapping.index, fetchPages) : null,
    });
    this.queue = new LeaseQueue(this.seat, onDeleted);
  }

  /** Whether its memory may be gone: nothing of it is looked at any more. */
  get closing(): boolean {
    return this.#closing !== null;
  }
  /** Whether somebody has a lease from here, or waits for one. */
  get busy(): boolean {
    return this.seat.occupied || this.queue.busy;
  }

  /** Ends waits and leases, gives back what they held, and detaches. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    await this.queue.close(new LeaseholdError('CLOSED', 'the broker connection was closed'));
    let stolen: unknown;
    for (const timed of this.seat.clock.all()) {
      try {
        if (timed instanceof Lease) timed.closeWith(this.seat);
      } catch (error) {
        stolen ??= error;
      }
    }
    this.seat.close();
    this.#session.release(this);
    await this.#session.detach(this.#attachmentId);
    if (stolen !== undefined) throw stolen;
  }
}
