/** What a publisher does while it has no slot: it asks subscribers to ring, detaches the slowest where that was agreed, or says who it is. */
import { LeaseholdError } from '@leasehold/proto';
import type { AttachedMapping, ChannelPublisher } from '@leasehold/shm-core/internal';
import type { Limits } from './limits.ts';
import type { GrantedPublisher } from './publisher-grant.ts';
import type { Session } from './session.ts';
import { waitForSlot } from './slot-wait.ts';

export interface PublisherWaitsParts {
  readonly session: Session;
  readonly mapping: AttachedMapping;
  readonly core: ChannelPublisher;
  readonly granted: GrantedPublisher;
  /** Whether the publisher waits for subscribers, or overwrites. */
  readonly block: boolean;
}

export class PublisherWaits {
  readonly #parts: PublisherWaitsParts;

  constructor(parts: PublisherWaitsParts) {
    this.#parts = parts;
  }

  /** Waits until `attempt` gives something, as the channel's overflow says. @throws LeaseholdError TIMED_OUT, NO_FREE_SLOT, ABORTED; what `attempt` throws. */
  untilFree<T>(attempt: () => T | null, limits: Limits): Promise<T> {
    const { session, mapping, core, granted, block } = this.#parts;
    const canDetach = granted.blockBound === 'detach' && limits.timeoutMs === undefined;
    return waitForSlot(attempt, limits, {
      register: () => session.doorbell.register(mapping.id),
      block,
      blockTimeoutMs: granted.blockTimeoutMs,
      arm: () => core.arm(),
      isArmed: () => core.armed,
      makeRoom: () => (canDetach ? this.#detachSlowest(limits) : Promise.resolve(false)),
      refusal: (boundMs) => this.#noSlot(boundMs),
    });
  }

  /** Detaches whoever holds the channel up most. False when nobody does. */
  async #detachSlowest(limits: Limits): Promise<boolean> {
    const { session, mapping, core, granted } = this.#parts;
    const slowest = core.slowest()[0];
    if (slowest === undefined || slowest.lag <= 0) return false;
    const subscriber = {
      mappingId: mapping.id,
      participantIndex: slowest.index,
      participantGeneration: slowest.generation,
    };
    try {
      const call = session.call({ signal: limits.signal, timeoutMs: granted.blockTimeoutMs });
      await session.channels.detachSlowSubscriber(subscriber, call);
    } catch (error) {
      // It has left by itself: there is room.
      if (!(error instanceof LeaseholdError && error.code === 'ATTACHMENT_NOT_FOUND')) throw error;
    }
    return true;
  }

  #noSlot(boundMs: number): LeaseholdError {
    const { core, granted, block } = this.#parts;
    const { name, slots } = granted.channel;
    const slowest = block ? core.slowest()[0] : undefined;
    if (slowest !== undefined && slowest.lag > 0) {
      return new LeaseholdError(
        'TIMED_OUT',
        `waited ${boundMs} ms for participant ${slowest.index} of ${name}, which has ${slowest.lag} frames to read`,
        { metadata: { participantIndex: String(slowest.index), framesBehind: String(slowest.lag) } },
      );
    }
    return new LeaseholdError('NO_FREE_SLOT', `waited ${boundMs} ms: all ${slots} slots of ${name} are held`);
  }
}
