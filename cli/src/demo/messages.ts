/**
 * What the demo and its processes tell one another over their IPC channels.
 * Only processes of one demo speak here, all started from the same files, so that messages are typed and not checked.
 */
import type { LatencyUs } from './latency.ts';

export interface PagesFigures {
  /** The page kind that the broker granted. */
  readonly granted: string;
  /** Why it is less than large pages; null when it is not. */
  readonly reason: string | null;
}

export interface CameraFigures {
  readonly frames: number;
  /** Frames for which no slot was free. */
  readonly dropped: number;
  /** Frames per second from the first to the newest; 0 before there are two. */
  readonly fps: number;
}

export interface SubscriberFigures {
  readonly frames: number;
  /** Frames that a `queue` subscriber was too slow for. */
  readonly lost: number;
  /** Frames that a `latest` subscriber passed over, as it asked to. */
  readonly skipped: number;
  /** Pictures whose burned-in number was not that of their descriptor. */
  readonly mismatched: number;
  /** From publish to take; null before the first frame. */
  readonly latencyUs: LatencyUs | null;
  /** What the work found, for people. */
  readonly finding: string;
}

export type CameraReport =
  | { readonly kind: 'ready'; readonly pages: PagesFigures }
  | { readonly kind: 'figures' | 'finished'; readonly figures: CameraFigures };

export type SubscriberReport =
  | { readonly kind: 'ready' }
  | { readonly kind: 'figures' | 'finished'; readonly figures: SubscriberFigures };

/** A process that cannot go on says why, then exits. */
export interface FailureReport {
  readonly kind: 'failed';
  readonly message: string;
}

/** To the camera, once every subscriber is there. */
export interface StartOrder {
  readonly kind: 'start';
}
