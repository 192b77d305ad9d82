/**
 * A subscription: an async iterable of frames, or `tryTake` for those who poll. Frames come straight from shared memory; the broker
 * has no part in it. What may go wrong on the way (deleted, detached, broker lost) is looked for only when there is no frame.
 */
import { LeaseholdError } from '@leasehold/proto';
import {
  type AttachedMapping,
  ChannelMemory,
  ChannelSubscriber,
  descriptorPayloadBytes,
  descriptorPublishedNs,
  readGeometry,
  SlotViews,
  TakeOutcome,
  type ViewMode,
} from '@leasehold/shm-core/internal';
import { checkedCount } from './arguments.ts';
import type { Frame, FrameOwner } from './frame.ts';
import { FrameIterator } from './frame-iterator.ts';
import { ENDED, type Found, type FrameSource, type SourceState } from './frame-source.ts';
import { FrameWaits } from './frame-waits.ts';
import { HeldFrames } from './held-frames.ts';
import type { WaitOptions } from './limits.ts';
import type { ChannelInfo, FrameFormat } from './plain-types.ts';
import { ringPayload, WHOEVER_PUBLISHES } from './ring-payload.ts';
import type { Session } from './session.ts';
import { sessionEnd } from './session-end.ts';
import type { WaitStrategy } from './waiting.ts';

export interface SubscribeOptions extends WaitOptions {
  /** `queue` (default): every frame in order, gaps counted. `latest`: the newest only. */
  readonly mode?: 'queue' | 'latest';
  /** Frames that may be held at once; default 2. */
  readonly maxPins?: number;
  /** Frames published before now that are wanted; default 0. */
  readonly history?: number;
  /** How to wait when there is no frame; default `adaptive`. */
  readonly wait?: WaitStrategy;
  /**
   * `persistent`: nothing is made for a frame. Bytes are not detached at release, and the `Frame` of a slot is one object for ever: who
   * keeps either too long reads, or releases, another frame. Default `fenced`.
   */
  readonly views?: ViewMode;
}

/** What the broker granted. */
export interface GrantedSubscription {
  readonly channel: ChannelInfo;
  readonly attachmentId: bigint;
  readonly maxPins: number;
  readonly history: number;
}

export class Subscriber implements AsyncDisposable, AsyncIterable<Frame> {
  /** The channel as it was when this was opened. */
  readonly channel: ChannelInfo;
  readonly mode: 'queue' | 'latest';
  readonly #session: Session;
  readonly #mapping: AttachedMapping;
  readonly #attachmentId: bigint;
  readonly #memory: ChannelMemory;
  readonly #core: ChannelSubscriber;
  readonly #waits: FrameWaits<Frame>;
  /** Of the frame taken last. */
  #newestSlot = 0;
  readonly #maxPins: number;
  readonly #counted: boolean;
  readonly #held: HeldFrames;
  /** Somebody waits for a frame to be let go. */
  #starved = false;
  #closing: Promise<void> | null = null;
  #closed = false;

  /** @internal @throws CorruptMemoryError; the mapping is the caller's to release then. */
  constructor(session: Session, mapping: AttachedMapping, granted: GrantedSubscription, options: SubscribeOptions) {
    this.channel = granted.channel;
    this.mode = options.mode ?? 'queue';
    this.#session = session;
    this.#mapping = mapping;
    this.#attachmentId = granted.attachmentId;
    this.#maxPins = granted.maxPins;
    const geometry = readGeometry(mapping.data, mapping.id);
    this.#counted = geometry.block && this.mode === 'queue';
    this.#memory = new ChannelMemory(mapping.data, mapping.lock, geometry);
    const payload = ringPayload(mapping.id, WHOEVER_PUBLISHES);
    this.#core = new ChannelSubscriber(this.#memory, mapping.page, {
      mode: this.mode,
      history: granted.history,
      maxPins: granted.maxPins,
      ringPublisher: () => {
        const bell = mapping.lock.publisherBell();
        if (bell !== null) session.ring(bell, payload);
      },
    });
    const owner: FrameOwner = {
      memory: this.#memory,
      defaults: granted.channel.format,
      finish: (frame, slot) => this.#finish(frame, slot),
    };
    this.#held = new HeldFrames(owner, new SlotViews(mapping.data, geometry, options.views ?? 'fenced'), geometry);
    this.#waits = new FrameWaits(this.#source(), session.doorbell, options.wait ?? 'adaptive');
    session.doorbell.enter(mapping.id, mapping.index, this.#waits);
    session.adopt(this);
  }

  get format(): Required<FrameFormat> {
    return this.channel.format;
  }
  /** Frames taken. */
  get taken(): number {
    return this.#core.taken;
  }
  /** Frames overwritten before this subscriber came to them (`queue`). */
  get lost(): number {
    return this.#core.lost;
  }
  /** Frames passed over for a newer one (`latest`). */
  get skipped(): number {
    return this.#core.skipped;
  }
  /** Whether the publisher finished the stream and all before its end was taken or lost. */
  get ended(): boolean {
    return this.#core.ended;
  }

  /**
   * The next frame if there is one; never waits.
   * @throws LeaseholdError CLOSED; PINS_EXCEEDED: `maxPins` frames are held; MAPPING_DELETED, SLOW_SUBSCRIBER.
   */
  tryTake(): Frame | null {
    this.#checkOpen();
    if (this.#core.pinned >= this.#maxPins) throw this.#allPinned();
    if (this.#counted && !this.#core.ended && !this.#mapping.lock.isCounted(this.#mapping.index)) {
      this.#throwUnlessEnded();
    }
    const slot = this.#core.take();
    return slot >= 0 ? this.#frame(slot) : this.#takeAgain(slot);
  }

  /**
   * As many frames as there are now, oldest first, at most `max` and what `maxPins` leaves; none: an empty list. In `latest` mode that is
   * one, the newest.
   * @throws LeaseholdError INVALID_ARGUMENT; as `tryTake`.
   */
  tryTakeMany(max: number): Frame[] {
    const frames: Frame[] = [];
    const most = Math.max(1, Math.min(checkedCount('max', max, 1), this.#maxPins - this.#core.pinned));
    try {
      for (let frame = this.tryTake(); frame !== null; frame = this.tryTake()) {
        if (frames.push(frame) === most) break;
      }
    } catch (error) {
      // Nobody else could let go of what was taken already. The next call says what is wrong.
      if (frames.length === 0) throw error;
    }
    return frames;
  }

  #allPinned(): LeaseholdError {
    return new LeaseholdError(
      'PINS_EXCEEDED',
      `${this.#core.pinned} frames are held; release one, or subscribe with a larger maxPins`,
    );
  }

  /** There seemed to be nothing. */
  #takeAgain(outcome: number): Frame | null {
    let slot = outcome;
    // A publisher was too fast to be caught; what it has left behind is worth another look before anybody sleeps.
    if (slot === TakeOutcome.again) slot = this.#core.take();
    // IMPORTANT: `deleted` is stored after all that a finishing publisher wrote. What was published between the look and the deletion
    // is found by another look; without it the stream would end, or fail, with frames unread. The plain look only spares the atomic one,
    // which the other look cannot overtake.
    if (slot === TakeOutcome.nothing && this.#mapping.lock.seemsDeleted && this.#mapping.lock.deleted) {
      slot = this.#core.take();
      if (slot === TakeOutcome.nothing) this.#checkAttached();
    }
    return slot >= 0 ? this.#frame(slot) : null;
  }

  #frame(slot: number): Frame {
    const frame = this.#held.open(slot, this.#core.cursor, descriptorPayloadBytes(this.#memory, slot));
    this.#newestSlot = slot;
    if (frame !== null) return frame;
    this.#core.release(slot);
    throw new LeaseholdError('VIEW_STOLEN', 'the bytes of a slot were detached or transferred by somebody else');
  }

  #finish(frame: Frame, slot: number): void {
    if (!this.#held.close(slot)) {
      throw new LeaseholdError(
        'VIEW_STOLEN',
        `the bytes of frame ${frame.sequence} were detached or transferred by somebody else; its slot stays pinned`,
      );
    }
    this.#core.release(slot);
    if (this.#starved) this.#waits.wake();
  }

  /**
   * The next frame; null when the stream has ended. While `maxPins` frames are held of which some were released and wait only for
   * their `holdUntil`, it waits for those.
   * @throws LeaseholdError TIMED_OUT, ABORTED; BROKER_LOST when the broker is gone and no frame came for a second; as `tryTake`.
   */
  take(options?: WaitOptions): Promise<Frame | null> {
    return this.#waits.take(options);
  }

  /**
   * The next frame, waited for with the whole thread; null when the stream has ended. For worker threads: the event loop stands still
   * meanwhile, and with it everything else of this thread, a signal’s listener and an AbortSignal too. Nothing is heard of the broker
   * for a second at most. Frames that only `holdUntil` keeps are not waited for, because what it waits for cannot happen.
   * @throws LeaseholdError as `take`.
   */
  takeSync(options?: WaitOptions): Frame | null {
    return this.#waits.takeSync(options);
  }

  /** What waiting needs of this. @internal */
  get waits(): FrameWaits<Frame> {
    return this.#waits;
  }

  #source(): FrameSource<Frame> {
    const core = this.#core;
    return {
      what: `a frame of ${this.channel.name}`,
      look: () => this.#look(),
      lookBlocking: () => this.tryTake() ?? (core.ended ? ENDED : null),
      publishedNs: () => descriptorPublishedNs(this.#memory, this.#newestSlot),
      arm: () => void (this.#closed || core.arm()),
      disarm: () => void (this.#closed || core.disarm()),
      state: () => this.#state(),
      ...sessionEnd(this.#session),
    };
  }

  /** As `tryTake`, but waits for frames that are about to be let go. */
  #look(): Found<Frame> | null {
    this.#checkOpen();
    this.#starved = this.#core.pinned >= this.#maxPins && this.#held.all().some((frame) => frame.leaving);
    if (this.#starved) return null;
    return this.tryTake() ?? (this.#core.ended ? ENDED : null);
  }

  #state(): SourceState {
    if (this.#closing !== null || this.#core.ended) return 'over';
    if (((this.#memory.loadHead() - this.#core.cursor) | 0) > 0) return 'frames';
    const { lock, index } = this.#mapping;
    return lock.deleted || (this.#counted && !lock.isCounted(index)) ? 'over' : 'nothing';
  }

  #checkOpen(): void {
    if (this.#closed || this.#closing !== null)
      throw new LeaseholdError('CLOSED', `the subscription to ${this.channel.name} was closed`);
  }

  #checkAttached(): void {
    const { lock } = this.#mapping;
    if (lock.deleted && !this.#core.endWithChannel()) {
      throw new LeaseholdError('MAPPING_DELETED', `channel ${this.channel.name} was deleted`);
    }
  }

  /** The broker no longer counts this subscriber. The end of the session can be seen here before it is heard. */
  #throwUnlessEnded(): void {
    const ended = this.#session.endedBecause();
    if (ended !== null) throw ended;
    this.#checkAttached();
    if (this.#core.ended) return;
    throw new LeaseholdError(
      'SLOW_SUBSCRIBER',
      `the publisher of ${this.channel.name} no longer waits for this subscriber: it was too slow`,
    );
  }

  /** Frames until the end of the stream, or until this is closed. Leaving the loop does not close the subscription. */
  [Symbol.asyncIterator](): AsyncIterableIterator<Frame, void, undefined> {
    return new FrameIterator(
      () => this.take(),
      () => this.#closing !== null,
    );
  }

  /** Releases what is held, after what `holdUntil` waits for, and ends the subscription. Idempotent. */
  close(): Promise<void> {
    if (this.#closing === null) {
      this.#closing = this.#close();
      // Whoever waits sees now that it is closing.
      this.#waits.wake();
    }
    return this.#closing;
  }
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    const outcomes = await Promise.allSettled(this.#held.all().map((frame) => frame.drained()));
    this.#closed = true;
    this.#session.doorbell.leave(this.#mapping.id, this.#mapping.index, this.#waits);
    this.#mapping.release();
    this.#session.release(this);
    await this.#session.detach(this.#attachmentId);
    const stolen = outcomes.find((outcome) => outcome.status === 'rejected');
    if (stolen !== undefined) throw stolen.reason;
  }
}
