/** A mapping by name: leases of its one readers-writer lock, and attachments past it, for those who agree otherwise. */

import { constants } from 'node:buffer';
import { LeaseholdError } from '@leasehold/proto';
import type { AttachedMapping, LockMode } from '@leasehold/shm-core/internal';
import { checkedChoice, checkedCount } from './arguments.ts';
import { type Attached, attachMapping } from './attach-mapping.ts';
import type { Lease } from './lease.ts';
import { mappingDeleted } from './lease-errors.ts';
import type { MappingSeats } from './lease-seats.ts';
import { grantedTtlNs } from './lease-terms.ts';
import { Limits, throwIfAborted, type WaitOptions, withLimits } from './limits.ts';
import type { MappingInfo } from './plain-types.ts';
import type { ReadonlyBytes } from './readonly-bytes.ts';
import type { Session } from './session.ts';

/** How long `lease` waits unless the caller says otherwise, ms. */
const WAIT_MS = 5_000;
/** How long the broker may take over a first attachment at least, however short the wait for the lock is to be, ms. */
const ATTACH_MS_MIN = 5_000;
const MAX_TRIES = 8;
const MODES: readonly LockMode[] = ['shared', 'exclusive'];
const RENEWALS: readonly ('auto' | 'manual')[] = ['auto', 'manual'];

export interface TryLeaseOptions {
  /** How long the lease lasts without a renewal, ms; within the broker's bounds. Default: the broker's. */
  readonly ttlMs?: number;
  /** `auto` (default): the lease renews itself as long as this process runs. `manual`: `renew()` does. */
  readonly renew?: 'auto' | 'manual';
}

export interface LeaseOptions extends TryLeaseOptions {
  /** How long to wait, ms, from 0, which is not at all; default 5,000. Infinity is no bound. */
  readonly waitMs?: number;
  /** Ends the wait with ABORTED; nothing is held then. Once the lease is held: ends its renewing, as `orphan` does. */
  readonly signal?: AbortSignal;
  /** Grants that are lost before they can be used, and refusals that may pass, until it gives up; default 8. */
  readonly maxTries?: number;
}

export class Mapping {
  readonly name: string;
  /** Whether this process created it just now. */
  readonly created: boolean;
  /** The mapping as it was when this was opened. */
  readonly info: MappingInfo;
  readonly #session: Session;
  #known: MappingSeats | null = null;

  /** @internal */
  constructor(session: Session, info: MappingInfo, created: boolean) {
    this.#session = session;
    this.name = info.name;
    this.info = info;
    this.created = created;
  }

  /** Whether the last exclusive holder was removed, and nobody has declared the data good since: now, once this process leases it. */
  get dirty(): boolean {
    return this.#known?.dirty ?? this.info.dirty;
  }

  get #seats(): MappingSeats {
    this.#known ??= this.#session.seatsOf(this.info);
    return this.#known;
  }

  /**
   * Takes the lock: in memory when nobody is in the way, else in its turn at the broker. Who comes first is served first, readers
   * together. Without the broker, what memory can decide is still decided.
   * @throws LeaseholdError LEASE_TIMEOUT; LEASE_HELD (`waitMs` 0); TIMED_OUT (the broker does not answer); ABORTED; BROKER_LOST
   *   (somebody is in the way, and there is no broker to ask: connect again); MAPPING_DELETED, MAPPING_NOT_FOUND, PERMISSION_DENIED,
   *   PARTICIPANTS_EXHAUSTED, TOKENS_EXHAUSTED, INVALID_ARGUMENT, CLOSED.
   */
  lease(mode: 'shared', options?: LeaseOptions): Promise<Lease<ReadonlyBytes>>;
  lease(mode: 'exclusive', options?: LeaseOptions): Promise<Lease<Uint8Array>>;
  async lease(mode: LockMode, options: LeaseOptions = {}): Promise<Lease> {
    const { signal } = options;
    const waitMs = checkedWait(options.waitMs ?? WAIT_MS);
    const maxTries = checkedCount('maxTries', options.maxTries ?? MAX_TRIES, 1);
    const auto = renewsItself(options);
    this.#session.checkOpen();
    throwIfAborted(signal);
    const sinceMs = performance.now();
    const there = this.#seats.get(checkedChoice('mode', mode, MODES));
    const limits = { signal, timeoutMs: Math.max(waitMs, ATTACH_MS_MIN) };
    const { seat, queue } = there ?? (await this.#seats.open(mode, new Limits(limits)));
    throwIfAborted(signal);
    const ttlNs = grantedTtlNs(seat.terms, options.ttlMs);
    const now = queue.tryTake(ttlNs, auto);
    if (now !== null) return now.follow(signal);
    const leftMs = waitMs === 0 ? 0 : Math.max(1, waitMs - (performance.now() - sinceMs));
    return (await queue.take({ ttlNs, auto, waitMs: leftMs, maxTries, signal })).follow(signal);
  }

  /**
   * Takes the lock if that can be done now and in memory: nobody is asked, nothing is waited for. Null when somebody is in the way.
   * `prepare` this mode before, once.
   * @throws LeaseholdError INVALID_STATE: not prepared; MAPPING_DELETED, TOKENS_EXHAUSTED, INVALID_ARGUMENT, CLOSED.
   */
  tryLease(mode: 'shared', options?: TryLeaseOptions): Lease<ReadonlyBytes> | null;
  tryLease(mode: 'exclusive', options?: TryLeaseOptions): Lease<Uint8Array> | null;
  tryLease(mode: LockMode, options?: TryLeaseOptions): Lease | null {
    const there = this.#seats.get(mode);
    if (there === null) throw this.#unprepared(mode);
    const { seat, queue } = there;
    if (options === undefined) return queue.tryTake(grantedTtlNs(seat.terms, undefined), true);
    return queue.tryTake(grantedTtlNs(seat.terms, options.ttlMs), renewsItself(options));
  }

  #unprepared(mode: LockMode): LeaseholdError {
    checkedChoice('mode', mode, MODES);
    if (this.#seats.deleted) return mappingDeleted(this.name);
    return new LeaseholdError(
      'INVALID_STATE',
      `${this.name} has no place for ${mode} leases in this process yet; \`await mapping.prepare('${mode}')\` first`,
    );
  }

  /**
   * Makes this process's place for leases of that mode: readers share a read-only attachment, writers a writable one. It is kept until
   * the connection is closed; `lease` makes it by itself.
   * @throws LeaseholdError as `attach`, but for INVALID_SIZE; MAPPING_DELETED, CLOSED.
   */
  async prepare(mode: LockMode, options: WaitOptions = {}): Promise<void> {
    this.#session.checkOpen();
    const limits = new Limits(options);
    const { seat } = await this.#seats.open(checkedChoice('mode', mode, MODES), limits);
    if (seat.pages === null) return;
    await withLimits(seat.pages.prepare(), limits.rest(), `who takes part in ${this.name}`, () => undefined);
  }

  /**
   * Maps it into this process, past the lock: for memory whose users agree among themselves otherwise.
   * @throws LeaseholdError MAPPING_NOT_FOUND, PERMISSION_DENIED, PARTICIPANTS_EXHAUSTED, TIMED_OUT, ABORTED, BROKER_LOST;
   *   INVALID_SIZE when it is larger than one view can be.
   */
  attach(access: 'read', options?: WaitOptions): Promise<MappingAttachment<ReadonlyBytes>>;
  attach(access: 'write', options?: WaitOptions): Promise<MappingAttachment<Uint8Array>>;
  attach(access: 'read' | 'write', options: WaitOptions = {}): Promise<MappingAttachment<ReadonlyBytes | Uint8Array>> {
    const session = this.#session;
    return session.opening(options, async (limits) => {
      checkedChoice('access', access, ['read', 'write']);
      const { payloadBytes } = this.info.memory;
      if (payloadBytes > constants.MAX_LENGTH) {
        throw new LeaseholdError(
          'INVALID_SIZE',
          `${this.name} has ${payloadBytes} B; one view may have ${constants.MAX_LENGTH} B`,
        );
      }
      const attached = await attachMapping(session, this.info, access, limits);
      return new MappingAttachment(session, attached, payloadBytes);
    });
  }

  /** Frees the name at once; whoever has it attached keeps it until it detaches. @throws LeaseholdError MAPPING_NOT_FOUND, PERMISSION_DENIED. */
  async delete(options: WaitOptions = {}): Promise<void> {
    await this.#session.mappings.deleteMapping({ name: this.name }, this.#session.call(options));
    this.#known?.look();
  }
}

/** A mapping, mapped. `bytes` is exactly the payload; its length is 0 after `close`. */
export class MappingAttachment<Bytes extends ReadonlyBytes | Uint8Array> implements AsyncDisposable {
  readonly #session: Session;
  readonly #mapping: AttachedMapping;
  readonly #attachmentId: bigint;
  readonly #bytes: Uint8Array;
  #closing: Promise<void> | null = null;

  /** @internal */
  constructor(session: Session, { mapping, attachmentId }: Attached, payloadBytes: number) {
    this.#session = session;
    this.#mapping = mapping;
    this.#attachmentId = attachmentId;
    this.#bytes = new Uint8Array(mapping.data.view(0, payloadBytes));
    session.adopt(this);
  }

  get bytes(): Bytes {
    // A reader's memory is mapped read-only, and its type has no way to write: `attach` pairs the two.
    return this.#bytes as ReadonlyBytes as Bytes;
  }
  /** Whether the mapping's name is gone. */
  get deleted(): boolean {
    return this.#closing === null && this.#mapping.lock.deleted;
  }

  /** Detaches `bytes` and unmaps. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    this.#mapping.release();
    this.#session.release(this);
    await this.#session.detach(this.#attachmentId);
  }
}

const renewsItself = ({ renew }: TryLeaseOptions): boolean =>
  renew === undefined || checkedChoice('renew', renew, RENEWALS) === 'auto';

function checkedWait(waitMs: number): number {
  if (waitMs >= 0) return waitMs;
  throw new LeaseholdError('INVALID_ARGUMENT', `waitMs must be a number of milliseconds from 0, not ${waitMs}`);
}
