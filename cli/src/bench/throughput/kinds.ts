/** What is measured of throughput, and how much of it. */
import type { ViewMode } from '@leasehold/client';

/** Loans, or frames, at once. */
export const BATCH = 32;

const SMALL = [8, 64, 4_096] as const;
const LARGE = [1920 * 1080 * 4, 3840 * 2160 * 4] as const;

export type Manner = 'one by one' | 'in batches' | 'in turn' | 'at once';

export interface Kind {
  /** Stable; without the payload. */
  readonly name: string;
  readonly manner: Manner;
  readonly views: ViewMode;
  readonly slots: number;
  readonly payloads: readonly number[];
}

export const idOf = ({ name }: Kind, payloadBytes: number): string => `throughput/leasehold/${name}/${payloadBytes}`;

/** What both sides of a kind can have open at once; a channel has room for that and more. */
export const heldAtOnce = ({ manner }: Pick<Kind, 'manner'>): { maxLoans: number; maxPins: number } =>
  manner === 'in batches' ? { maxLoans: BATCH, maxPins: BATCH } : { maxLoans: 1, maxPins: 2 };

export const KINDS: readonly Kind[] = [
  { name: 'persistent', manner: 'one by one', views: 'persistent', slots: 64, payloads: SMALL },
  { name: 'fenced', manner: 'one by one', views: 'fenced', slots: 64, payloads: SMALL },
  { name: 'persistent-batched', manner: 'in batches', views: 'persistent', slots: 4 * BATCH, payloads: SMALL },
  { name: 'written-and-read', manner: 'in turn', views: 'persistent', slots: 4, payloads: LARGE },
  { name: 'written-and-read-at-once', manner: 'at once', views: 'persistent', slots: 4, payloads: LARGE },
];

/** In one process's own memory. */
export const OWN_KINDS = {
  'written-and-read': 'throughput',
  copied: 'memcpy',
} as const;
export type OwnKind = keyof typeof OWN_KINDS;

export const OWN_PAYLOADS: readonly number[] = LARGE;

const SMALL_FRAMES = 300_000;
const LARGE_BYTES = 250_000_000;

const isSmall = (manner: Manner): boolean => manner === 'one by one' || manner === 'in batches';

/** Frames of one round. */
export function framesOf({ manner }: Pick<Kind, 'manner'>, payloadBytes: number, quick: boolean): number {
  const wanted = isSmall(manner) ? SMALL_FRAMES : Math.ceil(LARGE_BYTES / payloadBytes);
  return Math.max(2, Math.ceil(wanted / (quick ? 10 : 1)));
}

/** Frames before those of a round, which do not count: where each takes so little, the compiler must be done with all of it. */
export const leadInOf = ({ manner }: Pick<Kind, 'manner'>, frames: number): number =>
  Math.ceil(isSmall(manner) ? frames / 2 : frames / 10);
