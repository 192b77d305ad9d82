/**
 * The publisher's lease: the exclusive lease of its channel's mapping, renewed in memory as long as this process runs, with a broker or
 * without: its memory has nobody else. Whether it is still held, the words in memory say.
 */
import { LeaseholdError } from '@leasehold/proto';
import { type AttachedMapping, type Hold, ParticipantLock } from '@leasehold/shm-core/internal';
import type { LeaseClock, Timed } from './lease-clock.ts';
import type { LeaseTerms } from './lease-terms.ts';

/** Part of the TTL after which it is renewed: before a third of it is gone. */
const RENEW_AFTER = 0.3;

export interface PublisherLeaseParts {
  readonly mapping: AttachedMapping;
  readonly clock: LeaseClock;
  readonly terms: LeaseTerms;
  readonly ttlNs: number;
  readonly ringBroker: () => void;
}

export class PublisherLease implements Timed {
  clockIndex = -1;
  nextEventNs = 0;
  /** When the clock was read last. */
  publishedNs = 0;
  /** Called once, when it is found lost. */
  onLost: () => void = () => undefined;
  readonly #lock: ParticipantLock;
  readonly #clock: LeaseClock;
  readonly #ttlNs: number;
  #hold: Hold | null = null;

  constructor({ mapping, clock, terms, ttlNs, ringBroker }: PublisherLeaseParts) {
    this.#clock = clock;
    this.#ttlNs = ttlNs;
    this.#lock = new ParticipantLock({
      lock: mapping.lock,
      page: mapping.page,
      index: mapping.index,
      generation: mapping.generation,
      others: null,
      tokenLimit: terms.tokenLimit,
      nowNs: clock.nowNs,
      ringBroker,
    });
  }

  /** The broker has granted it. @throws LeaseholdError LEASE_LOST when it has been taken away since. */
  begin(name: string, { holdId, fencingToken, dirty }: { holdId: bigint; fencingToken: bigint; dirty: bigint }): void {
    const hold = this.#lock.confirm('exclusive', holdId, { fencingToken, dirty });
    if (hold === null || !this.#lock.renew(hold, this.#ttlNs)) {
      throw new LeaseholdError(
        'LEASE_LOST',
        `the publisher lease of ${name} was lost before it could be used; open again`,
      );
    }
    this.#hold = hold;
    this.#scheduleFrom(this.#clock.nowNs());
    this.#clock.add(this);
  }

  #scheduleFrom(nowNs: number): void {
    this.nextEventNs = nowNs + this.#ttlNs * RENEW_AFTER;
  }

  /** The clock for publishing. */
  readonly nowNs = (): number => {
    this.publishedNs = this.#clock.nowNs();
    return this.publishedNs;
  };

  /** A publisher that never returns to the event loop renews here, by a time that was read anyway. */
  renewIfDue(nowNs: number): void {
    if (nowNs >= this.nextEventNs) this.onTime(nowNs);
  }

  onTime(nowNs: number): void {
    if (this.#hold === null) return;
    if (this.#lock.renew(this.#hold, this.#ttlNs)) this.#scheduleFrom(nowNs);
    else this.#lose();
  }

  look(): void {
    if (this.#hold !== null && !this.#lock.stillHeld(this.#hold)) this.#lose();
  }

  #lose(): void {
    this.#end();
    this.onLost();
  }

  /** Why it was taken away, as far as memory says. */
  lossMetadata(): Record<string, string> {
    const reason = this.#lock.removalReason;
    return reason === null ? {} : { reason };
  }

  /** What a predecessor left is taken over: its data is good. */
  markClean(): void {
    if (this.#hold !== null) this.#lock.markClean(this.#hold);
  }

  /** Gives it back, to the next standby. Idempotent. */
  release(): void {
    const hold = this.#hold;
    this.#end();
    if (hold !== null) this.#lock.release(hold);
  }

  #end(): void {
    this.#hold = null;
    this.#clock.remove(this);
  }
}
