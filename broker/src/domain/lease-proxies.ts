/**
 * Participants that the broker keeps for sessions that lease by RPC alone, with no memory mapped. One holds or waits for one lease at
 * a time, and its user is charged for that; of those that do neither, one per session and mapping is kept for the next. Invariants: a
 * proxy that is idle keeps nothing alive; only the end of its latest lease makes it idle, whatever is said late, or twice, about others.
 */
import { holderBase, makeHoldId } from '@leasehold/shm-core/internal';
import type { Attachment } from './attachment.ts';
import type { Attachments } from './attachments.ts';
import type { OwnedMapping } from './owned-mapping.ts';
import type { Quotas, Taken } from './quotas.ts';
import type { Session } from './session.ts';

const SERIAL_MAX = 2 ** 32 - 1;

function holdIdOf({ place }: Attachment, serial: number): bigint {
  return makeHoldId(holderBase(place.index, place.generation), serial);
}

export interface ProxyHold {
  readonly proxy: Attachment;
  readonly holdId: bigint;
}

export class LeaseProxies {
  readonly #attachments: Attachments;
  readonly #quota: Quotas;
  readonly #idle = new Map<Session, Attachment>();
  readonly #serials = new WeakMap<Attachment, number>();
  /** What their leases, held or waited for, cost their users. */
  readonly #taken = new Map<Attachment, Taken>();

  constructor(attachments: Attachments, quota: Quotas) {
    this.#attachments = attachments;
    this.#quota = quota;
  }

  /**
   * A proxy for one lease, with an id that it has not used; a promise when its page has yet to be made.
   * @throws {LeaseholdError} at once, or from the promise: QUOTA_EXCEEDED; as `Attachments.begin`; UNAUTHENTICATED when the session
   * ended meanwhile
   */
  take(session: Session, mapping: OwnedMapping): ProxyHold | Promise<ProxyHold> {
    const taken = this.#quota.take(session.peer.uid, { leases: 1 });
    const idle = this.#takeIdle(session);
    if (idle === null) return this.#make(session, mapping, taken);
    this.#taken.set(idle, taken);
    return { proxy: idle, holdId: this.#nextHoldId(idle) };
  }

  async #make(session: Session, mapping: OwnedMapping, taken: Taken): Promise<ProxyHold> {
    try {
      const proxy = this.#attachments.begin(session, mapping, 'write', { kind: 'proxy' });
      // Before anything is waited for: whoever ends it meanwhile gives this back.
      this.#taken.set(proxy, taken);
      await this.#attachments.bringIn(proxy);
      return { proxy, holdId: this.#nextHoldId(proxy) };
    } catch (error) {
      taken.release();
      throw error;
    }
  }

  #takeIdle(session: Session): Attachment | null {
    const idle = this.#idle.get(session);
    this.#idle.delete(session);
    return idle?.active === true ? idle : null;
  }

  #release(proxy: Attachment): void {
    this.#taken.get(proxy)?.release();
    this.#taken.delete(proxy);
  }

  #nextHoldId(proxy: Attachment): bigint {
    const serial = (this.#serials.get(proxy) ?? 0) + 1;
    this.#serials.set(proxy, serial);
    return holdIdOf(proxy, serial);
  }

  /** The lease `holdId` is over, or the request for it. */
  giveBack(proxy: Attachment, holdId: bigint): void {
    const { session, mapping } = proxy;
    const serial = this.#serials.get(proxy) ?? 0;
    if (!proxy.active || this.isIdle(proxy) || holdIdOf(proxy, serial) !== holdId) return;
    this.#release(proxy);
    const usedUp = serial === SERIAL_MAX;
    if (usedUp || this.#idle.has(session) || mapping.condemned) this.#attachments.vacate(proxy);
    else this.#idle.set(session, proxy);
  }

  isIdle(proxy: Attachment): boolean {
    return this.#idle.get(proxy.session) === proxy;
  }

  /** For an attachment that has ended. */
  forget(proxy: Attachment): void {
    this.#release(proxy);
    if (this.isIdle(proxy)) this.#idle.delete(proxy.session);
  }

  /** The mapping is deleted. */
  vacateIdle(): void {
    for (const proxy of [...this.#idle.values()]) this.#attachments.vacate(proxy);
    this.#idle.clear();
  }
}
