/** A channel by name: what it is, and the two ways to take part in it. Holds nothing open. */
import { LeaseholdError, SubscribeMode } from '@leasehold/proto';
import { channelInfoFrom } from './convert.ts';
import { throwIfAborted, type WaitOptions } from './limits.ts';
import { asLeaseholdError } from './memory-errors.ts';
import { type OpenPublisherOptions, openPublisher } from './open-publisher.ts';
import type { ChannelInfo, FrameFormat, MemoryGrant } from './plain-types.ts';
import type { Publisher } from './publisher.ts';
import type { Session } from './session.ts';
import { type SubscribeOptions, Subscriber } from './subscriber.ts';

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

export async function openSubscriber(session: Session, name: string, options: SubscribeOptions): Promise<Subscriber> {
  throwIfAborted(options.signal);
  const maxPins = options.maxPins ?? DEFAULT_MAX_PINS;
  checkCount('maxPins', maxPins, 1);
  checkCount('history', options.history ?? 0, 0);
  const mode = options.mode === 'latest' ? SubscribeMode.LATEST : SubscribeMode.QUEUE;
  const response = await session.channels.openSubscriber(
    { name, mode, maxPins, history: options.history ?? 0 },
    session.call(options),
  );
  const attachmentId = response.attachment?.attachmentId ?? 0n;
  try {
    const mapping = await session.claim(response.attachment);
    const granted = { channel: channelInfoFrom(response.channel), attachmentId, maxPins, history: response.history };
    try {
      return new Subscriber(session, mapping, granted, options);
    } catch (error) {
      mapping.release();
      throw error;
    }
  } catch (error) {
    await session.detach(attachmentId);
    throw asLeaseholdError(error);
  }
}

function checkCount(what: string, value: number, min: number): void {
  if (Number.isInteger(value) && value >= min && value < 2 ** 31) return;
  throw new LeaseholdError('INVALID_ARGUMENT', `${what} must be an integer of at least ${min}, not ${value}`);
}
