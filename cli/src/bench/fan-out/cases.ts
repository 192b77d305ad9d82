/** One publisher, several subscribers, each a process of its own. */

/** How subscribers wait. Spinning ones need a core each: beyond that the scheduler would be measured. */
export type FanOutWaiting = 'spin' | 'park';

export interface FanOutCase {
  readonly waiting: FanOutWaiting;
  readonly subscribers: number;
}

export const PAYLOAD_BYTES = 4_096;
/** Frames that a subscriber may hold. */
export const MAX_PINS = 1;
export const COUNTS = [1, 2, 4, 8, 16] as const;
export const COUNT_MAX = Math.max(...COUNTS);

export const slotsOf = ({ subscribers }: FanOutCase): number => subscribers * MAX_PINS + 4;

export const idOf = ({ waiting, subscribers }: FanOutCase): string =>
  `fan-out/leasehold/${waiting}/${subscribers}/${PAYLOAD_BYTES}`;

/** The publisher needs a core, too. */
export function casesFor(cpuCount: number): readonly FanOutCase[] {
  const spinning = COUNTS.filter((subscribers) => subscribers < cpuCount);
  return [
    ...spinning.map((subscribers) => ({ waiting: 'spin', subscribers }) as const),
    ...COUNTS.map((subscribers) => ({ waiting: 'park', subscribers }) as const),
  ];
}

/** Frames of one round. */
export function framesOf({ waiting }: FanOutCase, quick: boolean): number {
  const wanted = waiting === 'spin' ? 5_000 : 100;
  return wanted / (quick ? 20 : 1);
}
