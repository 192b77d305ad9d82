/**
 * A lease: the right to read a mapping, or to read and write it alone, for as long as it is renewed. Invariants: its bytes are detached
 * before the lock is given back; nobody gets bytes from it once it is over, or taken away, whatever this process has slept through.
 */
import { LeaseholdError } from '@leasehold/proto';
import type { Advice, AdviceOutcome, Hold, LockMode } from '@leasehold/shm-core/internal';
import type { ReadonlyBytes } from '@leasehold/shm-core/pages';
import type { Timed } from './lease-clock.ts';
import { type LossReason, leaseLost, leaseReleased, leaseViewStolen } from './lease-errors.ts';
import type { LeaseSeat } from './lease-seat.ts';
import { grantedTtlNs } from './lease-terms.ts';
import { MappingWindow } from './window.ts';

/** Part of the TTL after which it is renewed: before a third of it is gone. */
const RENEW_AFTER = 0.3;
const NS_PER_MS = 1e6;
const NOTHING = new Uint8Array(0);

const HELD = 0;
const RELEASED = 1;
const LOST = 2;

/** How a lease begins. @internal */
export interface LeaseStart {
  readonly ttlNs: number;
  /** Renews itself until it is released, orphaned or lost. */
  readonly auto: boolean;
}

export class Lease<Bytes extends ReadonlyBytes | Uint8Array = ReadonlyBytes | Uint8Array>
  implements AsyncDisposable, Disposable, Timed
{
  readonly mode: LockMode;
  /**
   * Rises with every exclusive lease of the mapping, and with every new broker. Shared: that of the newest exclusive lease. Give it to
   * whatever the lease protects outside this memory, which refuses what comes with an older one.
   */
  readonly fencingToken: bigint;
  /** The last exclusive holder was removed, and nobody has declared the data good since: it may be half written. */
  readonly previousOwnerDied: boolean;
  /** @internal */
  clockIndex = -1;
  /** @internal */
  nextEventNs: number;
  readonly #seat: LeaseSeat;
  #hold: Hold;
  #ttlNs: number;
  #auto: boolean;
  #deadlineNs: number;
  #state = HELD;
  #bytes: Uint8Array<ArrayBuffer> | null = null;
  #windows: Set<MappingWindow> | null = null;
  #why: LeaseholdError | null = null;
  #lost: AbortController | null = null;
  #signal: AbortSignal | undefined;
  #stopRenewing: (() => void) | null = null;

  /** @internal `seat` has just given `hold`. */
  constructor(seat: LeaseSeat, hold: Hold, { ttlNs, auto }: LeaseStart) {
    this.mode = hold.mode;
    this.fencingToken = hold.fencingToken;
    this.previousOwnerDied = hold.dirty !== 0n;
    this.#seat = seat;
    this.#hold = hold;
    this.#ttlNs = ttlNs;
    this.#auto = auto;
    this.#deadlineNs = seat.grantedUntilNs;
    this.nextEventNs = this.#firstEventNs();
    seat.clock.add(this);
  }

  /** @internal Once `signal` aborts, it renews itself no more. */
  follow(signal: AbortSignal | undefined): this {
    if (signal === undefined || this.#state !== HELD) return this;
    if (signal.aborted) this.orphan();
    this.#signal = signal;
    this.#stopRenewing = () => this.orphan();
    signal.addEventListener('abort', this.#stopRenewing, { once: true });
    return this;
  }

  #firstEventNs(): number {
    return this.#auto ? this.#deadlineNs - this.#ttlNs * (1 - RENEW_AFTER) : this.#deadlineNs;
  }

  /**
   * The payload, exactly; made at the first use. Empty once the lease is over, and what was taken from here before becomes empty then.
   * Every use looks whether the lease is still held: keep what it gives for an inner loop. Native code that works on it in the
   * background must be done before the lease ends.
   * After a change of the mapping's size it is another array, and the one before is empty.
   * @throws LeaseholdError INVALID_SIZE when the mapping is larger than one view can be: use `window`; CORRUPT_MEMORY.
   */
  get bytes(): Bytes {
    if (!this.#usable()) return NOTHING as ReadonlyBytes as Bytes;
    const { views } = this.#seat;
    if (this.#bytes !== null && !views.isWhole(this.#bytes)) {
      views.close(this.#bytes);
      this.#bytes = null;
    }
    this.#bytes ??= views.open();
    // A reader's memory is mapped read-only, and its type has no way to write: `Mapping.lease` pairs the two.
    return this.#bytes as ReadonlyBytes as Bytes;
  }

  /**
   * A part of the payload, until it is closed or the lease is over.
   * @throws LeaseholdError INVALID_SIZE when it is not within the payload; LEASE_LOST; CLOSED when it was released; CORRUPT_MEMORY.
   */
  window(offset: number, length: number): MappingWindow<Bytes> {
    this.#checkUsable();
    this.#windows ??= new Set();
    const window: MappingWindow<Bytes> = new MappingWindow(this.#seat.views, offset, length, (intact) => {
      this.#windows?.delete(window);
      if (!intact) throw leaseViewStolen(this.#seat.name);
    });
    this.#windows.add(window);
    return window;
  }

  /** What this process is going to do with the payload. Never changes it. @throws LeaseholdError OUT_OF_MEMORY (`populate`), LEASE_LOST, CLOSED. */
  advise(advice: Advice): AdviceOutcome {
    this.#checkUsable();
    return this.#seat.views.advise(advice);
  }

  /** @internal What the broker calls it. @throws LeaseholdError LEASE_LOST, CLOSED. */
  get holdId(): bigint {
    this.#checkUsable();
    return this.#hold.id;
  }

  /** When it ends unless it is renewed, ns of CLOCK_MONOTONIC, as `monotonicNs` gives it. */
  get deadlineNs(): bigint {
    return BigInt(Math.trunc(this.#deadlineNs));
  }
  /** Time until then, ms; 0 when it is over. */
  get timeLeftMs(): number {
    if (this.#state !== HELD) return 0;
    return Math.max(0, (this.#deadlineNs - this.#seat.clock.nowNs()) / NS_PER_MS);
  }

  /**
   * Aborted when the lease is taken away or its time is over, not by `release`. The reason is a LeaseholdError LEASE_LOST, whose
   * `metadata.reason` is EXPIRED, REVOKED, OWNER_DIED (the broker ended this session), MAPPING_DELETED or BROKER_LOST.
   */
  get lost(): AbortSignal {
    if (this.#lost === null) {
      this.#lost = new AbortController();
      if (this.#why !== null) this.#lost.abort(this.#why);
    }
    return this.#lost.signal;
  }

  /** Whether it is still held, as memory and the clock say now. */
  #usable(): boolean {
    if (this.#state !== HELD) return false;
    if (!this.#seat.stillHeld(this.#hold)) {
      this.#lose(this.#seat.lossReason);
      return false;
    }
    const nowNs = this.#seat.clock.nowNs();
    if (nowNs >= this.#deadlineNs) this.onTime(nowNs);
    return this.#state === HELD;
  }

  /** @throws LeaseholdError LEASE_LOST; CLOSED when it was released. */
  #checkUsable(): void {
    if (!this.#usable()) throw this.#why ?? leaseReleased(this.#seat.name, this.#hold);
  }

  /**
   * Moves the end to `ttlMs` from now (default: as granted last; within the broker's bounds), without asking anybody. Late is not
   * too late: a lease whose time is over, and that nobody was waiting for, is still its holder's.
   * @throws LeaseholdError LEASE_LOST; CLOSED when it was released; INVALID_ARGUMENT.
   */
  renew(ttlMs?: number): void {
    const ttlNs = ttlMs === undefined ? this.#ttlNs : grantedTtlNs(this.#seat.terms, ttlMs);
    if (this.#state === HELD) {
      this.#ttlNs = ttlNs;
      this.#renewOrLose();
    }
    if (this.#state !== HELD) throw this.#why ?? leaseReleased(this.#seat.name, this.#hold);
  }

  #renewOrLose(): void {
    const untilNs = this.#seat.renew(this.#hold, this.#ttlNs);
    if (untilNs === null) {
      this.#lose(this.#seat.lossReason);
      return;
    }
    this.#deadlineNs = untilNs;
    this.nextEventNs = this.#firstEventNs();
    this.#seat.clock.moved(this);
  }

  /** Renews itself no more: it ends at its deadline, unless it is released or renewed before. */
  orphan(): void {
    this.#auto = false;
    this.nextEventNs = this.#deadlineNs;
  }

  /**
   * By an exclusive holder that has looked at the data and mended it: it is good, whatever happened to who was removed before.
   * @throws LeaseholdError INVALID_STATE for a shared lease; LEASE_LOST; CLOSED.
   */
  markClean(): void {
    if (this.mode !== 'exclusive') {
      throw new LeaseholdError('INVALID_STATE', 'only an exclusive lease can declare the data good; take one');
    }
    this.#checkUsable();
    this.#hold = this.#seat.markClean(this.#hold);
  }

  /**
   * A shared lease in place of this exclusive one, with no writer in between. This one is over; its bytes are detached.
   * @throws LeaseholdError INVALID_STATE when it is shared already; LEASE_LOST; CLOSED; VIEW_STOLEN, and it is given back.
   */
  downgrade(): Lease<ReadonlyBytes> {
    if (this.mode !== 'exclusive') throw new LeaseholdError('INVALID_STATE', 'the lease is shared already');
    this.#checkUsable();
    if (!this.#detach()) return this.#giveUpStolen();
    const shared = this.#seat.downgrade(this.#hold);
    if (shared === null) throw this.#over(this.#seat.lossReason);
    this.#end(RELEASED);
    const lease = new Lease<ReadonlyBytes>(this.#seat, shared, { ttlNs: this.#ttlNs, auto: this.#auto });
    return lease.follow(this.#signal);
  }

  /** Refused: two readers that wait for one another to leave would wait for ever. @throws LeaseholdError INVALID_STATE, always. */
  upgrade(): never {
    throw new LeaseholdError(
      'INVALID_STATE',
      `a ${this.mode} lease cannot be upgraded: release it, take an exclusive one, and read again what may have changed in between`,
    );
  }

  /**
   * Detaches the bytes, then gives the lease back. Idempotent.
   * @returns whether it was held until now; false when it had been lost: what was read may be torn, what was written is in doubt.
   * @throws LeaseholdError VIEW_STOLEN: somebody else transferred the bytes, and the data counts as in doubt.
   */
  release(): boolean {
    if (this.#state !== HELD) return this.#state === RELEASED;
    if (!this.#detach()) return this.#giveUpStolen();
    const kept = this.#seat.leave(this.#hold);
    if (kept) this.#end(RELEASED);
    else this.#over(this.#seat.lossReason);
    return kept;
  }
  [Symbol.dispose](): void {
    this.release();
  }
  async [Symbol.asyncDispose](): Promise<void> {
    this.release();
  }

  /** False when the view was stolen. */
  #detach(): boolean {
    const bytes = this.#bytes;
    this.#bytes = null;
    const intact = bytes === null || this.#seat.views.close(bytes);
    return this.#windows === null ? intact : this.#closeWindows(this.#windows) && intact;
  }

  #closeWindows(windows: Set<MappingWindow>): boolean {
    this.#windows = null;
    let intact = true;
    for (const window of windows) {
      try {
        window.close();
      } catch {
        intact = false;
      }
    }
    return intact;
  }

  /** @internal The mapping may be smaller now: no view reaches beyond it. @throws LeaseholdError VIEW_STOLEN. */
  trim(): void {
    const { views } = this.#seat;
    const bytes = this.#bytes;
    let intact = true;
    if (bytes !== null && !views.isWhole(bytes)) {
      this.#bytes = null;
      intact = views.close(bytes);
    }
    for (const window of this.#windows ?? []) if (window.end > views.sizeBytes) window.close();
    if (!intact) throw leaseViewStolen(this.#seat.name);
  }

  #giveUpStolen(): never {
    if (this.mode === 'exclusive') this.#seat.abandon(this.#hold);
    else this.#seat.leave(this.#hold);
    this.#end(RELEASED);
    throw leaseViewStolen(this.#seat.name);
  }

  /** @internal */
  onTime(nowNs: number): void {
    if (this.#state !== HELD) return;
    if (!this.#seat.stillHeld(this.#hold)) this.#lose(this.#seat.lossReason);
    else if (this.#auto && this.#seat.broker.lost === null) this.#renewOrLose();
    else if (nowNs >= this.#deadlineNs) this.#lose(this.#seat.broker.lost === null ? 'EXPIRED' : 'BROKER_LOST');
    else this.nextEventNs = this.#deadlineNs;
  }

  /** @internal Its seat is closed. */
  closeWith(seat: LeaseSeat): void {
    if (seat === this.#seat) this.release();
  }

  /** @internal */
  look(): void {
    if (this.#state === HELD && !this.#seat.stillHeld(this.#hold)) this.#lose(this.#seat.lossReason);
  }

  #lose(reason: LossReason): void {
    this.#detach();
    this.#seat.giveUp(this.#hold);
    this.#over(reason);
  }

  #over(reason: LossReason): LeaseholdError {
    const why = leaseLost(this.#seat.name, this.#hold, reason);
    this.#why = why;
    this.#end(LOST);
    this.#lost?.abort(why);
    return why;
  }

  #end(state: typeof RELEASED | typeof LOST): void {
    this.#state = state;
    if (this.#stopRenewing !== null) this.#signal?.removeEventListener('abort', this.#stopRenewing);
    this.#seat.clock.remove(this);
    this.#seat.onFree();
  }
}
