/** One process, subscribed to many channels, waits on them in one place; a frame comes on one of them at a time. */

export const COUNTS = [1, 16, 64, 256] as const;
export const PAYLOAD_BYTES = 4_096;
/** Of a channel: what its subscriber may pin (2), the loan, and one more. */
export const SLOTS = 4;
/** Channels that frames come on, spread over all: those of the others keep silent. */
const BUSY_MAX = 4;

export const channelName = (count: number, index: number): string => `bench/channels/${count}/${index}`;

export const busyOf = (count: number): readonly number[] => {
  const busy = Math.min(count, BUSY_MAX);
  return Array.from({ length: busy }, (_, place) => Math.floor(((place + 1) * count) / busy) - 1);
};

/** Of one round. */
export const framesOf = (quick: boolean): number => (quick ? 10 : 100);
/** How long it is watched doing nothing, ms. */
export const idleMsOf = (quick: boolean): number => (quick ? 200 : 2_000);
