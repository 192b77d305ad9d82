/** What is measured: every variant of a hand-off, how often, and in which order. */
import type { ViewMode } from '@leasehold/client';

export const SMALL_BYTES = 4_096;
/** 1920 × 1080 RGBA. */
export const FRAME_BYTES = 1920 * 1080 * 4;

/** Hand-offs at the start of a batch that are not counted: the receiver may not be waiting yet. */
export const LEAD_IN = 10;

export type Transport = 'shared-memory' | 'unix-socket' | 'grpc-stream';
/** How the receiver waits: `tryTake` in a loop, `take()` of a subscriber with that strategy, or the event loop. */
export type Waiting = 'tryTake' | 'spin' | 'park' | 'event-loop';

/**
 * What the sender writes before each hand-off, outside the measured time: both ends of the payload; all of it; or both ends, after as
 * much as a large payload in memory of its own, which shows what cold caches do to a small one.
 */
export type Written = 'ends' | 'all' | 'elsewhere';

export interface Variant {
  readonly id: string;
  readonly transport: Transport;
  readonly waiting: Waiting;
  /** Null: there are no views. */
  readonly views: ViewMode | null;
  readonly payloadBytes: number;
  readonly written: Written;
  /** Counted hand-offs in a full run. */
  readonly handOffs: number;
}

interface Kind {
  readonly name: string;
  readonly transport: Transport;
  readonly waiting: Waiting;
  readonly views: ViewMode | null;
  readonly written?: Written;
  readonly sizes: readonly (readonly [payloadBytes: number, handOffs: number])[];
}

const SPINNING: Kind['sizes'] = [
  [SMALL_BYTES, 20_000],
  [FRAME_BYTES, 20_000],
];
const SLEEPING: Kind['sizes'] = [
  [SMALL_BYTES, 2_000],
  [FRAME_BYTES, 2_000],
];
const COPYING: Kind['sizes'] = [
  [SMALL_BYTES, 2_000],
  [FRAME_BYTES, 500],
];

const SHARED = { transport: 'shared-memory', views: 'fenced' } as const;
const KINDS: readonly Kind[] = [
  { ...SHARED, name: 'poll', waiting: 'tryTake', sizes: SPINNING },
  { ...SHARED, name: 'poll-persistent', waiting: 'tryTake', views: 'persistent', sizes: SPINNING },
  { ...SHARED, name: 'poll-cold', waiting: 'tryTake', written: 'elsewhere', sizes: [[SMALL_BYTES, 500]] },
  { ...SHARED, name: 'poll-written', waiting: 'tryTake', written: 'all', sizes: [[FRAME_BYTES, 500]] },
  { ...SHARED, name: 'spin', waiting: 'spin', sizes: SPINNING },
  { ...SHARED, name: 'spin-persistent', waiting: 'spin', views: 'persistent', sizes: SPINNING },
  { ...SHARED, name: 'park', waiting: 'park', sizes: SLEEPING },
  { name: 'unix-socket', transport: 'unix-socket', waiting: 'event-loop', views: null, sizes: COPYING },
  { name: 'grpc-stream', transport: 'grpc-stream', waiting: 'event-loop', views: null, sizes: COPYING },
];

export const idOf = (name: string, payloadBytes: number): string => `${name}-${payloadBytes}`;

export const VARIANTS: readonly Variant[] = KINDS.flatMap(({ name, sizes, written = 'ends', ...kind }) =>
  sizes.map(([payloadBytes, handOffs]) => ({ ...kind, written, id: idOf(name, payloadBytes), payloadBytes, handOffs })),
);
