/** A mapping by name: leases of its one readers-writer lock, and attachments past it, for those who agree otherwise. */

import { LeaseholdError } from '@leasehold/proto';
import type { LockMode } from '@leasehold/shm-core/internal';
import type { ReadonlyBytes } from '@leasehold/shm-core/pages';
import { checkedChoice, checkedCount, checkedSize } from './arguments.ts';
import { attachMapping } from './attach-mapping.ts';
import { mappingInfoFrom } from './convert.ts';
import type { Lease } from './lease.ts';
import { mappingDeleted } from './lease-errors.ts';
import type { MappingSeats } from './lease-seats.ts';
import { grantedTtlNs } from './lease-terms.ts';
import { Limits, throwIfAborted, type WaitOptions, withLimits } from './limits.ts';
import { MappingAttachment } from './mapping-attachment.ts';
import type { MappingInfo } from './plain-types.ts';
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

export interface ResizeOptions extends WaitOptions {
  /** To make it smaller: an exclusive lease that this process has. Without one, `resize` takes one for as long as it needs it. */
  readonly lease?: Lease<Uint8Array>;
  /** How long to wait for that lease, ms; default 5,000. */
  readonly waitMs?: number;
}

export class Mapping {
  readonly name: string;
  /** Whether this process created it just now. */
  readonly created: boolean;
  readonly #session: Session;
  /** Those that are open. */
  readonly #attachments = new Set<MappingAttachment<ReadonlyBytes | Uint8Array>>();
  #info: MappingInfo;
  #known: MappingSeats | null = null;

  /** @internal */
  constructor(session: Session, info: MappingInfo, created: boolean) {
    this.#session = session;
    this.name = info.name;
    this.#info = info;
    this.created = created;
  }

  /** The mapping as it was when this was opened, or resized by it. */
  get info(): MappingInfo {
    return this.#info;
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
   * @throws LeaseholdError MAPPING_NOT_FOUND, PERMISSION_DENIED, PARTICIPANTS_EXHAUSTED, TIMED_OUT, ABORTED, BROKER_LOST.
   */
  attach(access: 'read', options?: WaitOptions): Promise<MappingAttachment<ReadonlyBytes>>;
  attach(access: 'write', options?: WaitOptions): Promise<MappingAttachment<Uint8Array>>;
  attach(access: 'read' | 'write', options: WaitOptions = {}): Promise<MappingAttachment<ReadonlyBytes | Uint8Array>> {
    const session = this.#session;
    return session.opening(options, async (limits) => {
      checkedChoice('access', access, ['read', 'write']);
      const attached = await attachMapping(session, this.info, { access, forLeases: false }, limits);
      const { pageBytes, locked } = this.info.memory;
      const grow = (atLeastBytes: number) => this.grow(atLeastBytes);
      const onClose = () => void this.#attachments.delete(attachment);
      const parts = { session, name: this.name, attached, pageBytes, locked, grow, onClose };
      const attachment = new MappingAttachment<ReadonlyBytes | Uint8Array>(parts);
      this.#attachments.add(attachment);
      return attachment;
    });
  }

  /**
   * Changes how much of its reservation (`reserveBytes` at its creation) is there, for everybody at once; nobody maps anything anew, and
   * `bytes` taken after it show the new size. What is given back reads as zero when it is there again. Making it smaller needs the
   * exclusive lease, which is taken for it unless one is given. Growing that fails leaves the old size; a shrink that has begun goes on when
   * nobody waits for it any more, and one that fails leaves what could not be given back.
   * @returns the mapping as it is now. @throws LeaseholdError INVALID_SIZE beyond the reservation; QUOTA_EXCEEDED, OUT_OF_MEMORY,
   *   LARGE_PAGES_UNAVAILABLE, MEMORY_NOT_LOCKABLE; LEASE_TIMEOUT, LEASE_LOST; INVALID_STATE: another session has its large pages
   *   attached past the lock; MAPPING_DELETED, MAPPING_NOT_FOUND, PERMISSION_DENIED, TIMED_OUT, ABORTED, BROKER_LOST.
   */
  async resize(sizeBytes: number, options: ResizeOptions = {}): Promise<MappingInfo> {
    const limits = new Limits(options);
    if (options.lease !== undefined) return this.#resizeUnder(options.lease, sizeBytes, limits);
    try {
      return await this.#resize({ sizeBytes, holdId: 0n, onlyGrow: false }, limits);
    } catch (error) {
      if (!(error instanceof LeaseholdError) || error.code !== 'LEASE_REQUIRED') throw error;
    }
    const { signal, waitMs } = options;
    using lease = await this.lease('exclusive', { ...(signal && { signal }), ...(waitMs !== undefined && { waitMs }) });
    return await this.#resizeUnder(lease, sizeBytes, limits);
  }

  /** As `resize`, but never makes it smaller: when so much is there already, nothing happens. */
  grow(atLeastBytes: number, options: WaitOptions = {}): Promise<MappingInfo> {
    return this.#resize({ sizeBytes: atLeastBytes, holdId: 0n, onlyGrow: true }, new Limits(options));
  }

  async #resizeUnder(lease: Lease<Uint8Array>, sizeBytes: number, limits: Limits): Promise<MappingInfo> {
    const info = await this.#resize({ sizeBytes, holdId: lease.holdId, onlyGrow: false }, limits);
    lease.trim();
    return info;
  }

  async #resize(
    { sizeBytes, ...request }: { sizeBytes: number; holdId: bigint; onlyGrow: boolean },
    limits: Limits,
  ): Promise<MappingInfo> {
    const { name, id: mappingId } = this.#info;
    const { mapping } = await this.#session.mappings.resizeMapping(
      { name, mappingId, sizeBytes: checkedSize('sizeBytes', sizeBytes), ...request },
      this.#session.call(limits.rest()),
    );
    this.#info = mappingInfoFrom(mapping);
    for (const attachment of this.#attachments) attachment.trim();
    return this.#info;
  }

  /** Frees the name at once; whoever has it attached keeps it until it detaches. @throws LeaseholdError MAPPING_NOT_FOUND, PERMISSION_DENIED. */
  async delete(options: WaitOptions = {}): Promise<void> {
    await this.#session.mappings.deleteMapping({ name: this.name }, this.#session.call(options));
    this.#known?.look();
  }
}

const renewsItself = ({ renew }: TryLeaseOptions): boolean =>
  renew === undefined || checkedChoice('renew', renew, RENEWALS) === 'auto';

function checkedWait(waitMs: number): number {
  if (waitMs >= 0) return waitMs;
  throw new LeaseholdError('INVALID_ARGUMENT', `waitMs must be a number of milliseconds from 0, not ${waitMs}`);
}
