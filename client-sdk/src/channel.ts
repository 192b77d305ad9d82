/** A channel by name: what it is, and the two ways to take part in it. Holds nothing open. */
import { SubscribeMode } from '@leasehold/proto';
import type { AttachedMapping } from '@leasehold/shm-core/internal';
import { checkedChoice, checkedCount, VIEW_MODES } from './arguments.ts';
import { channelInfoFrom } from './convert.ts';
import type { WaitOptions } from './limits.ts';
import { type OpenPublisherOptions, openPublisher } from './open-publisher.ts';
import type { ChannelInfo, FrameFormat, MemoryGrant } from './plain-types.ts';
import type { Publisher } from './publisher.ts';
import type { Session } from './session.ts';
import { type SubscribeOptions, Subscriber } from './subscriber.ts';
import { WaitStrategies } from './waiting.ts';

/** Frames that a subscriber may hold at once unless it asks for another number. */
const DEFAULT_MAX_PINS = 2;

export class Channel {
  readonly name: string;
  /** Whether this process created it just now. */
  readonly created: boolean;
  readonly format: Required<FrameFormat>;
  readonly slots: number;
  /** Payload capacity of one slot, B. */
  readonly slotBytes: number;
  readonly overflow: 'overwrite' | 'block';
  /** What was granted. */
  readonly memory: MemoryGrant;
  readonly #session: Session;

  /** @internal */
  constructor(session: Session, info: ChannelInfo, created: boolean) {
    this.#session = session;
    this.name = info.name;
    this.created = created;
    this.format = info.format;
    this.slots = info.slots;
    this.slotBytes = info.slotBytes;
    this.overflow = info.overflow;
    this.memory = info.memory;
  }

  /** The channel as it is now. @throws LeaseholdError CHANNEL_NOT_FOUND, TIMED_OUT, ABORTED, BROKER_LOST. */
  async info(options: WaitOptions = {}): Promise<ChannelInfo> {
    const { channel } = await this.#session.channels.getChannel({ name: this.name }, this.#session.call(options));
    return channelInfoFrom(channel);
  }

  /**
   * Becomes the publisher; waits as a hot standby while somebody else is.
   * @throws LeaseholdError CHANNEL_NOT_FOUND, PUBLISHER_EXISTS, PERMISSION_DENIED, PARTICIPANTS_EXHAUSTED, TIMED_OUT, ABORTED.
   */
  openPublisher(options: OpenPublisherOptions = {}): Promise<Publisher> {
    return openPublisher(this.#session, this.name, options);
  }

  /** @throws LeaseholdError CHANNEL_NOT_FOUND, PINS_EXHAUSTED, PERMISSION_DENIED, PARTICIPANTS_EXHAUSTED, TIMED_OUT, ABORTED. */
  subscribe(options: SubscribeOptions = {}): Promise<Subscriber> {
    return openSubscriber(this.#session, this.name, options);
  }

  /** Frees the name at once; whoever has it open is told. @throws LeaseholdError CHANNEL_NOT_FOUND, PERMISSION_DENIED. */
  async delete(options: WaitOptions = {}): Promise<void> {
    await this.#session.channels.deleteChannel({ name: this.name }, this.#session.call(options));
  }
}

export function openSubscriber(session: Session, name: string, options: SubscribeOptions): Promise<Subscriber> {
  return session.opening(options, async (limits) => {
    const { mode, maxPins, history } = checkedOptions(options);
    const wire = mode === 'latest' ? SubscribeMode.LATEST : SubscribeMode.QUEUE;
    const response = await session.channels.openSubscriber(
      { name, mode: wire, maxPins, history },
      session.call(limits.rest()),
    );
    const attachmentId = response.attachment?.attachmentId ?? 0n;
    let mapping: AttachedMapping | undefined;
    try {
      mapping = await session.claim(response.attachment, limits);
      const granted = { channel: channelInfoFrom(response.channel), attachmentId, maxPins, history: response.history };
      return new Subscriber(session, mapping, granted, options);
    } catch (error) {
      mapping?.release();
      void session.detach(attachmentId);
      throw error;
    }
  });
}

/** @throws LeaseholdError INVALID_ARGUMENT. */
function checkedOptions(options: SubscribeOptions): { mode: 'queue' | 'latest'; maxPins: number; history: number } {
  const mode = checkedChoice('mode', options.mode ?? 'queue', ['queue', 'latest']);
  checkedChoice('wait', options.wait ?? 'adaptive', WaitStrategies);
  checkedChoice('views', options.views ?? 'fenced', VIEW_MODES);
  const maxPins = checkedCount('maxPins', options.maxPins ?? DEFAULT_MAX_PINS, 1);
  return { mode, maxPins, history: checkedCount('history', options.history ?? 0, 0) };
}
