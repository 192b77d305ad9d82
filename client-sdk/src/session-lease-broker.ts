/** The broker's side of leases, reached through the session: for one participant of one mapping. */
import { LeaseholdError, LeaseMode } from '@leasehold/proto';
import type { AttachedMapping } from '@leasehold/shm-core/internal';
import type { LeaseBroker, LeaseRequest } from './lease-broker.ts';
import type { Session } from './session.ts';

/** How much later than asked the broker may answer, ms. */
const ANSWER_GRACE_MS = 1_000;
/** Longer waits end sooner, ms: 24 days. */
const WAIT_MS_MAX = 2 ** 31 - 1;

export class SessionLeaseBroker implements LeaseBroker {
  readonly #session: Session;
  readonly #name: string;
  readonly #mappingId: bigint;
  readonly #attachmentId: bigint;
  readonly #ring: () => 'rung' | 'full' | 'gone';
  #gone = false;

  constructor(session: Session, name: string, mapping: AttachedMapping, attachmentId: bigint) {
    this.#session = session;
    this.#name = name;
    this.#mappingId = mapping.id;
    this.#attachmentId = attachmentId;
    this.#ring = session.ringFor(mapping.lock.brokerBell(), mapping.id, mapping.index);
  }

  get lost(): LeaseholdError | null {
    return this.#session.lost.aborted ? this.#session.lost.reason : null;
  }

  get gone(): boolean {
    this.#gone ||= this.lost !== null && this.#ring() === 'gone';
    return this.#gone;
  }

  ring(): void {
    this.#ring();
  }

  async acquire({ mode, holdId, ttlMs, waitMs }: LeaseRequest, signal: AbortSignal): Promise<bigint> {
    const wait = Math.min(Math.ceil(waitMs), WAIT_MS_MAX);
    const request = {
      name: this.#name,
      mode: mode === 'exclusive' ? LeaseMode.EXCLUSIVE : LeaseMode.SHARED,
      ttlMs: Math.ceil(ttlMs),
      waitMs: BigInt(wait),
      attachmentId: this.#attachmentId,
      holdId,
    };
    const call = this.#session.call({ signal, timeoutMs: wait + ANSWER_GRACE_MS });
    const { lease } = await this.#session.leases.acquireLease(request, call);
    if (lease === undefined || lease.mappingId !== this.#mappingId || lease.holdId !== holdId) {
      throw new LeaseholdError('MALFORMED_MESSAGE', `the broker granted another lease of ${this.#name} than was asked`);
    }
    return lease.fencingToken;
  }

  settled(holdId: bigint): void {
    if (this.lost === null) this.withdraw(holdId).catch(() => undefined);
  }

  withdraw(holdId: bigint): Promise<void> {
    return this.#session.releaseLease(this.#mappingId, holdId);
  }
}
