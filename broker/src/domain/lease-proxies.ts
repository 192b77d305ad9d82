/**
 * Participants that the broker keeps for sessions that lease by RPC alone, with no memory mapped. One holds or waits for one lease at
 * a time; of those that do neither, one per session and mapping is kept for the next. Invariant: a proxy that is idle keeps nothing
 * alive.
 */
import { LeaseholdError } from '@leasehold/proto';
import type { Attachment } from './attachment.ts';
import type { Attachments } from './attachments.ts';
import type { OwnedMapping } from './owned-mapping.ts';
import type { Session } from './session.ts';

const SERIAL_LIMIT = 2 ** 32;

export class LeaseProxies {
  readonly #attachments: Attachments;
  readonly #idle = new Map<Session, Attachment>();
  readonly #serials = new WeakMap<Attachment, number>();

  constructor(attachments: Attachments) {
    this.#attachments = attachments;
  }

  /** @throws {LeaseholdError} as `Attachments.begin`; UNAUTHENTICATED when the session ended meanwhile */
  async take(session: Session, mapping: OwnedMapping): Promise<Attachment> {
    const idle = this.#idle.get(session);
    this.#idle.delete(session);
    if (idle?.active === true) return idle;
    const attachment = this.#attachments.begin(session, mapping, 'write', { kind: 'proxy' });
    await this.#attachments.bringIn(attachment);
    return attachment;
  }

  /** A serial that this proxy has not used. @throws {LeaseholdError} QUOTA_EXCEEDED after 2^32 */
  nextSerial(proxy: Attachment): number {
    const serial = (this.#serials.get(proxy) ?? 0) + 1;
    if (serial >= SERIAL_LIMIT) throw new LeaseholdError('QUOTA_EXCEEDED', 'This session has used up its holds.');
    this.#serials.set(proxy, serial);
    return serial;
  }

  /** It holds and waits for nothing any more. */
  giveBack(proxy: Attachment): void {
    const { session, mapping } = proxy;
    if (!proxy.active || this.#idle.get(session) === proxy) return;
    if (this.#idle.has(session) || mapping.condemned) this.#attachments.vacate(proxy);
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
