/** Opening a publisher: queue behind whoever publishes, be promoted, take over. The stream of the RPC is the lease. */
import { BlockBound, LeaseholdError, type OpenPublisherResponse } from '@leasehold/proto';
import type { AttachedMapping, ViewMode } from '@leasehold/shm-core/internal';
import { checkedChoice, VIEW_MODES } from './arguments.ts';
import { channelInfoFrom } from './convert.ts';
import { grantedTtlNs, leaseTermsFrom, wireTtlMs } from './lease-terms.ts';
import { type Limits, type WaitOptions, withLimits } from './limits.ts';
import { Publisher } from './publisher.ts';
import type { LeaseStream } from './publisher-grant.ts';
import { PublisherLease } from './publisher-lease.ts';
import type { Session } from './session.ts';

export interface OpenPublisherOptions extends WaitOptions {
  /** Throw PUBLISHER_EXISTS instead of waiting as a hot standby. */
  readonly failIfHeld?: boolean;
  /** How long the lease outlives a process that hangs, ms; within the broker's bounds. It renews itself. Default: the broker's. */
  readonly ttlMs?: number;
  /**
   * As for a subscriber. `persistent`: bytes are not detached when a loan is over, and the `Loan` of a slot is one object for ever: who
   * keeps either too long writes, or ends, another loan. Default `fenced`.
   */
  readonly views?: ViewMode;
  /** Called while somebody else publishes: how many are before this one, the publisher included. */
  readonly onQueued?: (position: number) => void;
}

type Event = OpenPublisherResponse['event'];
type Opened = Extract<Event, { case: 'opened' }>['value'];
type Promoted = Extract<Event, { case: 'promoted' }>['value'];

/** @throws LeaseholdError CHANNEL_NOT_FOUND, PUBLISHER_EXISTS, PERMISSION_DENIED, PARTICIPANTS_EXHAUSTED, TIMED_OUT, ABORTED, BROKER_LOST. */
export function openPublisher(session: Session, name: string, options: OpenPublisherOptions): Promise<Publisher> {
  return session.opening(options, async (limits) => {
    const views = checkedChoice('views', options.views ?? 'fenced', VIEW_MODES);
    const candidacy = new Candidacy(session, name, { ...options, views });
    try {
      return await candidacy.run(limits);
    } catch (error) {
      candidacy.withdraw();
      throw error;
    }
  });
}

/** One attempt to become the publisher. What it has got so far is given back by `withdraw`, whatever step it is at. */
class Candidacy {
  readonly #session: Session;
  readonly #name: string;
  readonly #options: OpenPublisherOptions & { readonly views: ViewMode };
  readonly #stream = new AbortController();
  #opened: Opened | null = null;
  #mapping: AttachedMapping | null = null;

  constructor(session: Session, name: string, options: OpenPublisherOptions & { readonly views: ViewMode }) {
    this.#session = session;
    this.#name = name;
    this.#options = options;
  }

  async run(limits: Limits): Promise<Publisher> {
    const call = { ...this.#session.call({}), signal: this.#stream.signal };
    const request = {
      name: this.#name,
      failIfHeld: this.#options.failIfHeld ?? false,
      ttlMs: wireTtlMs(this.#options.ttlMs),
    };
    const events = this.#session.channels.openPublisher(request, call);
    for (;;) {
      const waiting = events.next();
      const next = await withLimits(waiting, limits.rest(), `the publisher lease of ${this.#name}`, () => undefined);
      if (next.done === true) throw new LeaseholdError('LEASE_LOST', `the broker ended the queue for ${this.#name}`);
      const { event } = next.value;
      if (event.case === 'opened') await this.#attach(event.value, limits);
      if (event.case === 'queued') this.#options.onQueued?.(event.value.position);
      if (event.case === 'promoted') return this.#publisher(event.value, events);
    }
  }

  async #attach(opened: Opened, limits: Limits): Promise<void> {
    this.#opened = opened;
    this.#mapping = await this.#session.claim(opened.attachment, limits);
  }

  #publisher(
    { fencingToken, holdId, previousOwnerDied }: Promoted,
    events: AsyncIterator<OpenPublisherResponse>,
  ): Publisher {
    const spec = this.#opened?.channel?.spec;
    const attachmentId = this.#opened?.attachment?.attachmentId;
    if (this.#mapping === null || spec === undefined || attachmentId === undefined) {
      throw new LeaseholdError('MALFORMED_MESSAGE', 'the broker promoted before it opened');
    }
    const granted = {
      lease: this.#lease(this.#mapping),
      channel: channelInfoFrom(this.#opened?.channel),
      attachmentId,
      fencingToken,
      holdId,
      previousOwnerDied,
      blockBound: spec.blockBound === BlockBound.DETACH ? ('detach' as const) : ('timeout' as const),
      blockTimeoutMs: spec.blockTimeoutMs,
    };
    return new Publisher(this.#session, this.#mapping, granted, watchLease(events, this.#stream), this.#options.views);
  }

  #lease(mapping: AttachedMapping): PublisherLease {
    const terms = leaseTermsFrom(this.#opened?.attachment?.leaseTerms);
    return new PublisherLease({
      mapping,
      clock: this.#session.clock,
      terms,
      ttlNs: grantedTtlNs(terms, this.#options.ttlMs),
      ringBroker: this.#session.ringFor(mapping.lock.brokerBell(), mapping.id, mapping.index),
    });
  }

  withdraw(): void {
    this.#stream.abort();
    this.#mapping?.release();
    const attachmentId = this.#opened?.attachment?.attachmentId;
    if (attachmentId !== undefined) void this.#session.detach(attachmentId);
  }
}

/** Reads the rest of the stream: it says nothing more until it ends. */
function watchLease(events: AsyncIterator<OpenPublisherResponse>, stream: AbortController): LeaseStream {
  const read = async (): Promise<unknown> => {
    try {
      while ((await events.next()).done !== true);
      return new LeaseholdError('LEASE_LOST', 'the broker ended the lease');
    } catch (error) {
      return error;
    }
  };
  return { ended: read(), end: () => stream.abort() };
}
