/**
 * Participants that the broker keeps for sessions that lease by RPC alone, with no memory mapped. One holds or waits for one lease at
 * a time; of those that do neither, one per session and mapping is kept for the next. Invariants: a proxy that is idle keeps nothing
 * alive; only the end of its latest lease makes it idle, whatever is said late, or twice, about those before.
 */
import { holderBase, makeHoldId } from '@leasehold/shm-core/internal';
import type { Attachment } from './attachment.ts';
import type { Attachments } from './attachments.ts';
import type { OwnedMapping } from './owned-mapping.ts';
import type { Session } from './session.ts';

const SERIAL_MAX = 2 ** 32 - 1;

function holdIdOf({ place }: Attachment, serial: number): bigint {
  return makeHoldId(holderBase(place.index, place.generation), serial);
}

export class LeaseProxies {
  readonly #attachments: Attachments;
  readonly #idle = new Map<Session, Attachment>();
  readonly #serials = new WeakMap<Attachment, number>();

  constructor(attachments: Attachments) {
    this.#attachments = attachments;
  }

  /**
   * A proxy for one lease, with an id that it has not used.
   * @throws {LeaseholdError} as `Attachments.begin`; UNAUTHENTICATED when the session ended meanwhile
   */
  async take(session: Session, mapping: OwnedMapping): Promise<{ proxy: Attachment; holdId: bigint }> {
    const idle = this.#idle.get(session);
    this.#idle.delete(session);
    if (idle?.active === true) return { proxy: idle, holdId: this.#nextHoldId(idle) };
    const proxy = this.#attachments.begin(session, mapping, 'write', { kind: 'proxy' });
    await this.#attachments.bringIn(proxy);
    return { proxy, holdId: this.#nextHoldId(proxy) };
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
    const usedUp = serial === SERIAL_MAX;
    if (usedUp || this.#idle.has(session) || mapping.condemned) this.#attachments.vacate(proxy);
    else this.#idle.set(session, proxy);
  }

  isIdle(proxy: Attachment): boolean {
    return this.#idle.get(proxy.session) === proxy;
  }

  /** For an attachment that has ended. */
  forget(proxy: Attachment): void {
    if (this.isIdle(proxy)) this.#idle.delete(proxy.session);
  }

  /** The mapping is deleted. */
  vacateIdle(): void {
    for (const proxy of [...this.#idle.values()]) this.#attachments.vacate(proxy);
    this.#idle.clear();
  }
}
