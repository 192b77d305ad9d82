/** Opening a publisher: queue behind whoever publishes, be promoted, take over. The stream of the RPC is the lease. */
import { LeaseholdError, type OpenPublisherResponse } from '@leasehold/proto';
import type { AttachedMapping, ViewMode } from '@leasehold/shm-core/internal';
import { channelInfoFrom } from './convert.ts';
import { throwIfAborted, type WaitOptions, withLimits } from './limits.ts';
import { asLeaseholdError } from './memory-errors.ts';
import type { ChannelInfo } from './plain-types.ts';
import { type LeaseStream, Publisher } from './publisher.ts';
import type { Session } from './session.ts';

export interface OpenPublisherOptions extends WaitOptions {
  /** Throw PUBLISHER_EXISTS instead of waiting as a hot standby. */
  readonly failIfHeld?: boolean;
  /** As for a subscriber: `persistent` bytes are not detached when a loan is over. Default `fenced`. */
  readonly views?: ViewMode;
  /** Called while somebody else publishes: how many are before this one, the publisher included. */
  readonly onQueued?: (position: number) => void;
}

/** What has been opened so far, to be undone when the opening fails. */
interface Opening {
  mapping: AttachedMapping | null;
  attachmentId: bigint | null;
  channel: ChannelInfo | null;
  blockBound: 'timeout' | 'detach';
  blockTimeoutMs: number;
}

/** @throws LeaseholdError CHANNEL_NOT_FOUND, PUBLISHER_EXISTS, PERMISSION_DENIED, PARTICIPANTS_EXHAUSTED, TIMED_OUT, ABORTED, BROKER_LOST. */
export async function openPublisher(session: Session, name: string, options: OpenPublisherOptions): Promise<Publisher> {
  throwIfAborted(options.signal);
  const ended = new AbortController();
  const stream = session.channels.openPublisher(
    { name, failIfHeld: options.failIfHeld ?? false },
    { ...session.call({}), signal: ended.signal },
  );
  const opening: Opening = {
    mapping: null,
    attachmentId: null,
    channel: null,
    blockBound: 'timeout',
    blockTimeoutMs: 0,
  };
  try {
    const promotion = promote(session, stream, opening, options);
    return await withLimits(promotion, options, `the publisher lease of ${name}`, (late) => void late.close());
  } catch (error) {
    ended.abort();
    opening.mapping?.release();
    if (opening.attachmentId !== null) await session.detach(opening.attachmentId);
    throw asLeaseholdError(error);
  }

  async function promote(
    session: Session,
    events: AsyncIterator<OpenPublisherResponse>,
    opening: Opening,
    options: OpenPublisherOptions,
  ): Promise<Publisher> {
    for (;;) {
      const next = await events.next();
      if (next.done === true) throw new LeaseholdError('LEASE_LOST', `the broker ended the queue for ${name}`);
      const { event } = next.value;
      if (event.case === 'opened') await remember(session, event.value, opening);
      if (event.case === 'queued') options.onQueued?.(event.value.position);
      if (event.case !== 'promoted') continue;
      const { mapping, attachmentId, channel, blockBound, blockTimeoutMs } = opening;
      if (mapping === null || attachmentId === null || channel === null) {
        throw new LeaseholdError('MALFORMED_MESSAGE', 'the broker promoted before it opened');
      }
      const { fencingToken, holdId, previousOwnerDied } = event.value;
      const granted = { channel, attachmentId, fencingToken, holdId, previousOwnerDied, blockBound, blockTimeoutMs };
      return new Publisher(session, mapping, granted, watchLease(events, ended), options.views ?? 'fenced');
    }
  }
}

async function remember(
  session: Session,
  opened: Extract<OpenPublisherResponse['event'], { case: 'opened' }>['value'],
  opening: Opening,
): Promise<void> {
  opening.channel = channelInfoFrom(opened.channel);
  opening.blockBound = opened.channel?.spec?.blockBound === 2 ? 'detach' : 'timeout';
  opening.blockTimeoutMs = opened.channel?.spec?.blockTimeoutMs ?? 0;
  opening.attachmentId = opened.attachment?.attachmentId ?? null;
  opening.mapping = await session.claim(opened.attachment);
}

/** Reads the rest of the stream: it says nothing more until the lease ends. */
function watchLease(events: AsyncIterator<OpenPublisherResponse>, ended: AbortController): LeaseStream {
  const lost = new AbortController();
  const read = async (): Promise<void> => {
    try {
      while ((await events.next()).done !== true);
      lost.abort(new LeaseholdError('LEASE_LOST', 'the broker ended the lease'));
    } catch (error) {
      // A broker that is gone takes no lease away: the words in shared memory say whose it is.
      if (!(error instanceof LeaseholdError && error.code === 'BROKER_LOST')) lost.abort(error);
    }
  };
  void read();
  return { lost: lost.signal, end: () => ended.abort() };
}
