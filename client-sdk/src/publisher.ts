/**
 * A publisher that holds its channel's lease. Loans and publications happen in shared memory; the broker is asked only when a
 * subscriber joined whose page is not mapped yet. What ends the lease ends publishing, never what subscribers hold.
 */

import { LeaseholdError } from '@leasehold/proto';
import {
  type AttachedMapping,
  ChannelMemory,
  ChannelPublisher,
  type ClaimedPage,
  type FrameFields,
  LoanRefusal,
  ParticipantPages,
  readGeometry,
  SlotViews,
  type ViewMode,
} from '@leasehold/shm-core/internal';
import { checkedCount } from './arguments.ts';
import { LOOK_AGAIN_MS } from './doorbell.ts';
import { Limits, type WaitOptions } from './limits.ts';
import type { Loan, LoanOwner, PublishOptions } from './loan.ts';
import { asLeaseholdError } from './memory-errors.ts';
import { OpenLoans } from './open-loans.ts';
import type { ChannelInfo } from './plain-types.ts';
import type { GrantedPublisher, LeaseStream } from './publisher-grant.ts';
import type { PublisherLease } from './publisher-lease.ts';
import { PublisherWaits } from './publisher-waits.ts';
import type { Session } from './session.ts';

export class Publisher implements AsyncDisposable {
  /** The channel as it was when this was opened. */
  readonly channel: ChannelInfo;
  /** Written into every frame; rises with every publisher of the channel. */
  readonly fencingToken: bigint;
  /** Whether the publisher before died or was removed without closing. */
  readonly previousOwnerDied: boolean;
  /** Aborted with a LeaseholdError when the lease is lost: nothing can be published any more. */
  readonly lost: AbortSignal;
  readonly #lost = new AbortController();
  readonly #session: Session;
  readonly #mapping: AttachedMapping;
  readonly #granted: GrantedPublisher;
  readonly #stream: LeaseStream;
  readonly #lease: PublisherLease;
  readonly #core: ChannelPublisher;
  readonly #pages: ParticipantPages;
  readonly #maxLoans: number;
  readonly #waits: PublisherWaits;
  readonly #loans: OpenLoans;
  #claimFailure: unknown;
  #published = 0;
  #dropped = 0;
  #finishing = false;
  #closing: Promise<void> | null = null;

  /** @internal @throws CorruptMemoryError; the mapping is the caller's to release then. */
  constructor(
    session: Session,
    mapping: AttachedMapping,
    granted: GrantedPublisher,
    stream: LeaseStream,
    views: ViewMode,
  ) {
    this.channel = granted.channel;
    this.fencingToken = granted.fencingToken;
    this.previousOwnerDied = granted.previousOwnerDied;
    this.lost = this.#lost.signal;
    this.#session = session;
    this.#mapping = mapping;
    this.#granted = granted;
    this.#stream = stream;
    const geometry = readGeometry(mapping.data, mapping.id);
    this.#maxLoans = geometry.maxLoans;
    const memory = new ChannelMemory(mapping.data, mapping.lock, geometry);
    this.#pages = new ParticipantPages(mapping.lock, mapping.index, (indices) => this.#claim(indices));
    this.#lease = granted.lease;
    this.#core = new ChannelPublisher(memory, this.#pages, mapping, this.#lease.nowNs);
    this.#waits = new PublisherWaits({ session, mapping, core: this.#core, granted, block: geometry.block });
    const owner: LoanOwner = {
      publish: (slot, payloadBytes, fields) => this.#publish(slot, payloadBytes, fields),
      discard: (slot) => this.#discard(slot),
    };
    this.#loans = new OpenLoans(owner, new SlotViews(mapping.data, geometry, views), geometry);
    void stream.ended.then((why) => this.#onStreamEnd(why));
    this.#lease.begin(this.channel.name, { ...granted, dirty: mapping.lock.dirty });
    this.#lease.onLost = () => this.#loseAndSayWhy();
    this.#core.takeOver(granted);
    this.#lease.markClean();
    session.adopt(this);
  }

  /** Pages of participants that joined. What cannot be had now is asked for again at the next loan, which is refused until then. */
  #claim(indices: readonly number[]): readonly ClaimedPage[] {
    try {
      return this.#session.pages.claim(this.#mapping.id, indices);
    } catch (error) {
      this.#claimFailure = asLeaseholdError(error);
      return [];
    }
  }

  /** Frames published here. */
  get published(): number {
    return this.#published;
  }
  /** Times `tryLoan` found no slot: frames that were not published. */
  get dropped(): number {
    return this.#dropped;
  }
  /** Participants of the channel other than this one, standbys included, as last seen. */
  get participantCount(): number {
    return this.#pages.pages.length;
  }

  /**
   * A slot to fill, or null when there is none now: a drop, which is counted. Does not wait for slots. When somebody has just joined it
   * asks the broker for its page, which blocks this thread for a round trip, and once for a quarter of a second when the broker is stopped.
   * @throws LeaseholdError LEASE_LOST, MAPPING_DELETED, INVALID_STATE (`maxLoans` are open, or the stream is finished), VIEW_STOLEN, CLOSED;
   *   BROKER_LOST, OUT_OF_MEMORY when that page cannot be had. While the broker only does not answer, there is no slot.
   */
  tryLoan(): Loan | null {
    const loan = this.#tryLoan();
    if (loan === null) this.#countDrop();
    return loan;
  }

  #countDrop(): void {
    this.#dropped += 1;
    this.#mapping.page.setDropped(this.#dropped);
    this.#lease.renewIfDue(this.#lease.nowNs());
  }

  #tryLoan(): Loan | null {
    this.#checkLoans(1);
    const slot = this.#loanSlot();
    return slot < 0 ? null : this.#lend(slot);
  }

  /** @throws LeaseholdError CLOSED, INVALID_STATE. */
  #checkLoans(more: number): void {
    this.#checkOpen();
    if (this.#loans.count + more > this.#maxLoans) {
      throw new LeaseholdError(
        'INVALID_STATE',
        `${this.#loans.count} loans are open, ${more} more would be past the maxLoans ${this.#maxLoans} of the channel: publish or discard some`,
      );
    }
    if (this.#finishing) throw new LeaseholdError('INVALID_STATE', `the stream on ${this.channel.name} was finished`);
  }

  #lend(slot: number): Loan {
    const loan = this.#loans.open(slot);
    if (loan !== null) return loan;
    this.#core.abandon();
    throw stolenView();
  }

  /**
   * As many slots to fill as there are now, at most `count`, which is at most what is left of `maxLoans`. Cheaper by the loan than
   * `tryLoan`, most of all with subscribers that keep up. An empty list: there is none, which is counted as one drop.
   * @throws LeaseholdError as `tryLoan`.
   */
  tryLoanMany(count: number): Loan[] {
    this.#checkLoans(checkedCount('count', count, 1));
    const slots: number[] = [];
    const outcome = this.#orWhyNot(this.#core.loanMany(count, slots));
    if (outcome < 0) this.#countDrop();
    const loans: Loan[] = [];
    for (const slot of slots) {
      const loan = this.#loans.open(slot);
      if (loan === null) this.#core.abandon();
      else loans.push(loan);
    }
    if (loans.length === 0 && slots.length > 0) throw stolenView();
    return loans;
  }

  /**
   * Publishes loans in the order given, each whole or as `options` of the same place say, with one time stamp, and wakes whoever sleeps once.
   * @throws LeaseholdError as `Loan.publish`: those before the one that failed are published, those after it are still open.
   */
  publishMany(loans: readonly Loan[], options: readonly (PublishOptions | undefined)[] = []): void {
    this.#checkOpen();
    this.#core.batch(() => {
      for (let place = 0; place < loans.length; place += 1) loans[place]?.publish(options[place]);
    });
  }

  /** A slot, or a negative number when there is none now. */
  #loanSlot(): number {
    return this.#orWhyNot(this.#core.loan());
  }

  /** @throws LeaseholdError when it will not get better. */
  #orWhyNot(outcome: number): number {
    if (outcome >= 0 || outcome === LoanRefusal.noSlot || outcome === LoanRefusal.subscribersBehind) return outcome;
    if (outcome === LoanRefusal.lost) throw this.#loseAndSayWhy();
    const why = this.#pageMissing();
    // A broker that is only slow answers the next time: until then there is no slot.
    if (why.code === 'TIMED_OUT') return LoanRefusal.noSlot;
    throw why;
  }

  #pageMissing(): LeaseholdError {
    const cause = this.#session.lost.reason ?? this.#claimFailure;
    const code = cause instanceof LeaseholdError ? cause.code : 'INTERNAL';
    return new LeaseholdError(code, 'a subscriber joined, and its page cannot be had from the broker', { cause });
  }

  /**
   * A slot to fill. A `block` channel: waits for subscribers, no longer than the channel's bound.
   * @throws LeaseholdError TIMED_OUT, NO_FREE_SLOT, ABORTED; as `tryLoan`.
   */
  async loan(options: WaitOptions = {}): Promise<Loan> {
    const limits = new Limits(options);
    return this.#tryLoan() ?? this.#waits.untilFree(() => this.#tryLoan(), limits);
  }

  /**
   * IMPORTANT: the bytes are detached after the frame was shown, not before, for nobody waits for that; but before this returns, so
   * that no JavaScript can write to them once others may read them.
   */
  #publish(slot: number, payloadBytes: number, fields: FrameFields): number {
    if (this.#loans.isStolen(slot)) throw this.#giveUp(slot);
    let sequence: number | null;
    try {
      sequence = this.#core.publish(slot, payloadBytes, fields);
    } catch (error) {
      throw asLeaseholdError(error);
    } finally {
      this.#loans.close(slot);
    }
    if (sequence === null) throw this.#loseAndSayWhy();
    this.#published += 1;
    this.#lease.renewIfDue(this.#lease.publishedNs);
    return sequence;
  }

  /** Detaches the bytes before anybody else may have the slot. */
  #discard(slot: number): void {
    if (this.#loans.isStolen(slot)) throw this.#giveUp(slot);
    this.#loans.close(slot);
    this.#core.giveBack(slot);
  }

  /** Its memory is out of our hands: nobody gets the slot any more. */
  #giveUp(slot: number): LeaseholdError {
    this.#loans.close(slot);
    this.#core.abandon();
    return stolenView();
  }

  /**
   * The broker has ended the stream, or is gone itself. The lease is lost only when the words in shared memory say so: a broker that
   * ends takes nothing away. What was lent under a lost lease is taken back.
   */
  async #onStreamEnd(why: unknown): Promise<void> {
    // The end can be heard here before the broker takes the lease away; then it rings.
    while (this.#closing === null && this.#core.holdsLease) {
      if (this.#session.lostForMs >= LOOK_AGAIN_MS) return;
      await this.#session.doorbell.register(this.#mapping.id).wait(LOOK_AGAIN_MS, undefined);
    }
    if (this.#closing === null) this.#lose(why);
  }

  #lose(why: unknown): void {
    if (this.#lost.signal.aborted) return;
    this.#lost.abort(why);
    for (const loan of this.#loans.all()) loan.revoke(this.#leaseLost());
  }

  #loseAndSayWhy(): LeaseholdError {
    const why = this.#leaseLost();
    this.#lose(why);
    return why;
  }

  #leaseLost(): LeaseholdError {
    if (this.#mapping.lock.deleted)
      return new LeaseholdError('MAPPING_DELETED', `channel ${this.channel.name} was deleted`);
    const reason: unknown = this.lost.reason;
    return new LeaseholdError(
      'LEASE_LOST',
      `the publisher lease of ${this.channel.name} (token ${this.fencingToken}) is somebody else's now`,
      { ...(reason === undefined ? {} : { cause: reason }), metadata: this.#lease.lossMetadata() },
    );
  }

  /**
   * Publishes the end of the stream: subscribers drain what is before it, and end. Nothing can be loaned afterwards.
   * @throws LeaseholdError INVALID_STATE: a loan is open, or it was finished before; as `loan`, and may be tried again then.
   */
  async finish(options: WaitOptions = {}): Promise<void> {
    const limits = new Limits(options);
    this.#checkOpen();
    if (this.#finishing || this.#loans.count > 0) {
      const why = this.#finishing
        ? 'was finished'
        : `has ${this.#loans.count} open loans; publish or discard them first`;
      throw new LeaseholdError('INVALID_STATE', `the stream on ${this.channel.name} ${why}`);
    }
    this.#finishing = true;
    const attempt = (): true | null => {
      this.#checkOpen();
      const slot = this.#loanSlot();
      if (slot < 0) return null;
      if (this.#publishEnd(slot) === null) throw this.#loseAndSayWhy();
      return true;
    };
    try {
      if (attempt() === null) await this.#waits.untilFree(attempt, limits);
    } catch (error) {
      this.#finishing = false;
      throw error;
    }
  }

  #publishEnd(slot: number): number | null {
    try {
      return this.#core.publishEnd(slot);
    } catch (error) {
      throw asLeaseholdError(error);
    }
  }

  #checkOpen(): void {
    if (this.#closing !== null) throw new LeaseholdError('CLOSED', `the publisher of ${this.channel.name} was closed`);
  }

  /** Discards open loans and gives the lease back. Idempotent. Without `finish` before it, subscribers wait for the next publisher. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    let stolen: unknown;
    for (const loan of this.#loans.all()) {
      try {
        loan.discard();
      } catch (error) {
        stolen = error;
      }
    }
    this.#lease.release();
    this.#session.doorbell.wakeAll();
    this.#pages.release();
    this.#mapping.release();
    this.#session.release(this);
    await this.#session.detach(this.#granted.attachmentId);
    this.#stream.end();
    if (stolen !== undefined) throw stolen;
  }
}

const stolenView = (): LeaseholdError =>
  new LeaseholdError(
    'VIEW_STOLEN',
    'the bytes of a loan were detached or transferred by somebody else; its slot is given up',
  );
