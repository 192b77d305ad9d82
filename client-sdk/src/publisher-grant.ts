/** What a publisher is made with: the broker's grant, and the stream that is its lease. */
import type { ChannelInfo } from './plain-types.ts';
import type { PublisherLease } from './publisher-lease.ts';

/** What the broker granted. */
export interface GrantedPublisher {
  readonly channel: ChannelInfo;
  readonly attachmentId: bigint;
  readonly fencingToken: bigint;
  readonly holdId: bigint;
  readonly previousOwnerDied: boolean;
  /** Not begun yet. */
  readonly lease: PublisherLease;
  /** What a `block` channel does at its bound, and the bound, ms. */
  readonly blockBound: 'timeout' | 'detach';
  readonly blockTimeoutMs: number;
}

/** The stream that is the lease. */
export interface LeaseStream {
  /** Why it ended, when it did. */
  readonly ended: Promise<unknown>;
  /** Gives the lease back. */
  end(): void;
}
