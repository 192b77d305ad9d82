/**
 * A participant's own hands on the words of a lock. Each step is taken for real, told to the model, and what it returns is compared. It
 * goes on after its session is over for as long as its process runs, and knows nothing of brokers but the doorbell.
 */
import {
  type Hold,
  holderBase,
  type LockMode,
  ParticipantLock,
  ParticipantPages,
  TokensExhaustedError,
} from '@leasehold/shm-core/internal';
import type { Attachment } from '../attachment.ts';
import { participantOf } from './lease-model.ts';
import type { LeaseWorld } from './lease-world.ts';
import { hex, type LockUnderTest } from './lock-under-test.ts';

const NS_PER_MS = 1e6;
/** How often a page of somebody else cannot be had. */
const PAGE_MISSING = 0.02;

export class LeaseSeat {
  readonly lock: LockUnderTest;
  readonly attachment: Attachment;
  readonly participant: bigint;
  hold: Hold | null = null;
  /** The hold before, which a late step may still be about. */
  earlier: Hold | null = null;
  /** Nobody renews or releases it any more. */
  orphaned = false;
  readonly #world: LeaseWorld;
  readonly #words: ParticipantLock;
  readonly #tokenLimit: bigint;
  #pageMissing = false;
  #rung = false;

  constructor(world: LeaseWorld, lock: LockUnderTest, attachment: Attachment, tokenLimit: bigint) {
    const { index, generation } = attachment.place;
    const own = lock.words.pages.get(index);
    if (own?.generation !== generation) throw new Error(`participant ${index} has no page`);
    this.#world = world;
    this.lock = lock;
    this.attachment = attachment;
    this.participant = participantOf(holderBase(index, generation));
    this.#tokenLimit = tokenLimit;
    this.#words = new ParticipantLock({
      lock: lock.words.lock,
      page: own.page,
      index,
      generation,
      others: attachment.access === 'write' ? new ParticipantPages(lock.words.lock, index, this.#claim) : null,
      tokenLimit,
      nowNs: () => world.clock.nowNs(),
      ringBroker: () => {
        this.#rung = true;
      },
    });
  }

  readonly #claim = (indices: readonly number[]) => {
    this.#pageMissing = this.#world.random.chance(PAGE_MISSING);
    if (this.#pageMissing) return [];
    return indices.flatMap((index) => {
      const page = this.lock.words.pages.get(index);
      return page === undefined ? [] : [{ ...page, ring: () => undefined, release: () => undefined }];
    });
  };

  get canWrite(): boolean {
    return this.attachment.access === 'write';
  }
  nextHoldId(): bigint {
    return this.#words.nextHoldId();
  }

  /** In memory, or not at all. */
  try(mode: LockMode, ttlMs: number): boolean {
    const ttlNs = ttlMs * NS_PER_MS;
    this.#pageMissing = false;
    let hold: Hold | 'tokens-exhausted' | null;
    try {
      hold = mode === 'shared' ? this.#words.tryShared(ttlNs) : this.#words.tryExclusive(ttlNs);
    } catch (error) {
      if (!(error instanceof TokensExhaustedError)) throw error;
      hold = 'tokens-exhausted';
    }
    this.#world.happened.add(this.#happening(mode, hold));
    if (hold === null && this.#pageMissing) return false;
    this.#compareTry(mode, hold, this.#world.nowNs + BigInt(ttlNs));
    if (hold === null || hold === 'tokens-exhausted') return false;
    this.#keep(hold);
    if (mode === 'exclusive') this.#world.used(this.lock.name, hold.fencingToken);
    return true;
  }

  #happening(mode: LockMode, hold: Hold | 'tokens-exhausted' | null): string {
    if (hold === 'tokens-exhausted') return `${mode} not taken in memory: no token left`;
    if (hold === null)
      return this.#pageMissing ? `${mode} not taken in memory: a page is missing` : `${mode} refused in memory`;
    return `${mode} taken in memory${this.attachment.active ? '' : ', its session over'}`;
  }

  #compareTry(mode: LockMode, hold: Hold | 'tokens-exhausted' | null, deadlineNs: bigint): void {
    const { model, name } = this.lock;
    const id = hold === null || hold === 'tokens-exhausted' ? this.participant << 32n : hold.id;
    const shared = () => (model.trySharedAt(id, deadlineNs) ? 'held' : 'refused');
    const should = mode === 'shared' ? shared() : model.tryExclusiveAt(id, deadlineNs, this.#tokenLimit);
    const got = hold === null ? 'refused' : hold === 'tokens-exhausted' ? hold : 'held';
    this.#world.expect(got === should, () => `${name}: trying ${mode} was ${got}, should be ${should}`);
    if (hold === null || hold === 'tokens-exhausted') return;
    const { fencingToken, dirty } = hold;
    const same = fencingToken === model.newestToken && dirty === model.dirty;
    this.#world.expect(same, () => `${name}: held with token ${fencingToken}, dirty ${hex(dirty)}`);
  }

  /** What the broker granted. */
  confirm(mode: LockMode, id: bigint, granted: { fencingToken: bigint; dirty: bigint }): void {
    const hold = this.#words.confirm(mode, id, granted);
    const should = this.lock.model.holdOf(id) !== null;
    this.#world.expect((hold !== null) === should, () => `${this.lock.name}: a grant is ${should ? '' : 'not '}held`);
    if (hold !== null) this.#keep(hold);
  }
  #keep(hold: Hold): void {
    this.earlier = this.hold ?? this.earlier;
    this.hold = hold;
    this.orphaned = false;
  }
  drop(): void {
    this.earlier = this.hold ?? this.earlier;
    this.hold = null;
  }

  /** @returns whether the broker's bell was rung */
  release(hold: Hold): boolean {
    if (this.lock.model.holdOf(hold.id) === null) this.#world.happened.add('released late');
    return this.#ringing(() => {
      this.#same('release', this.#words.release(hold), this.lock.model.release(hold.id));
    });
  }
  /** With nobody to tell whether the data is good. */
  abandon(hold: Hold): boolean {
    return this.#ringing(() => {
      const { model } = this.lock;
      if (hold.mode === 'exclusive' && [0n, hold.dirty].includes(model.dirty)) model.dirty = hold.id;
      this.#words.abandon(hold);
      model.release(hold.id);
    });
  }
  downgrade(hold: Hold): boolean {
    if (this.lock.model.contended) this.#world.happened.add('downgraded while others wait');
    return this.#ringing(() => {
      const shared = this.#words.downgrade(hold);
      const id = shared?.id ?? this.participant << 32n;
      this.#same('downgrade', shared !== null, this.lock.model.downgrade(hold.id, id));
      if (shared !== null) this.#keep(shared);
    });
  }
  renew(hold: Hold, ttlMs: number): void {
    const should = this.lock.model.holdOf(hold.id);
    const deadlineNs = this.#world.nowNs + BigInt(ttlMs * NS_PER_MS);
    if (should === null) this.#world.happened.add('renewed late');
    else if (should.deadlineNs < this.#world.nowNs) this.#world.happened.add('renewed after its deadline');
    this.#same('renew', this.#words.renew(hold, ttlMs * NS_PER_MS), should !== null);
    if (should !== null) should.deadlineNs = deadlineNs;
  }
  markClean(hold: Hold): void {
    this.#words.markClean(hold);
    this.lock.model.markClean(hold.dirty);
  }

  #same(what: string, got: boolean, should: boolean): void {
    this.#world.expect(got === should, () => `${this.lock.name}: ${what} returned ${got}, should be ${should}`);
  }
  /** Whoever may have made room for somebody who waits must ring. */
  #ringing(step: () => void): boolean {
    this.#rung = false;
    const { contended } = this.lock.model;
    step();
    this.#same('ring', this.#rung, contended);
    return this.#rung;
  }
}
