/**
 * What receivers say of the last frame each of them held, and when, in a mapping that sender and receivers share: a place of 128 B for each
 * receiver, so that none waits for another's cache line. For what cannot be timed by one clock: hand-offs that are not answered.
 */
import type { Broker } from '@leasehold/client';

const PLACE_BYTES = 128;
/** Of the number; the time is 8 B further. */
const NUMBERS_PER_PLACE = PLACE_BYTES / Int32Array.BYTES_PER_ELEMENT;
const TIMES_PER_PLACE = PLACE_BYTES / Float64Array.BYTES_PER_ELEMENT;

export interface Marks {
  /** Frame `number` was held by receiver `place` at `heldNs` of CLOCK_MONOTONIC. */
  hold(place: number, number: number, heldNs: number): void;
  /** When the last of the first `receivers` held frame `number`; null while some do not. */
  heldByAll(receivers: number, number: number): number | null;
}

/** Opens, or makes, room for `places` receivers. */
export async function openMarks(broker: Broker, name: string, places: number): Promise<Marks> {
  const sizeBytes = places * PLACE_BYTES;
  const mapping = await broker.createMapping(name, { sizeBytes, persistent: true, ifExists: 'open-if-same' });
  const { buffer, byteOffset } = (await mapping.attach('write')).bytes;
  const numbers = new Int32Array(buffer, byteOffset, sizeBytes / Int32Array.BYTES_PER_ELEMENT);
  const times = new Float64Array(buffer, byteOffset, sizeBytes / Float64Array.BYTES_PER_ELEMENT);
  return {
    hold: (place, number, heldNs) => {
      times[place * TIMES_PER_PLACE + 1] = heldNs;
      // IMPORTANT: the number is stored last, and atomically: whoever sees it sees the time that belongs to it.
      Atomics.store(numbers, place * NUMBERS_PER_PLACE, number);
    },
    heldByAll: (receivers, number) => {
      let lastNs = 0;
      for (let place = 0; place < receivers; place += 1) {
        if (Atomics.load(numbers, place * NUMBERS_PER_PLACE) !== number) return null;
        lastNs = Math.max(lastNs, times[place * TIMES_PER_PLACE + 1] ?? Number.NaN);
      }
      return lastNs;
    },
  };
}
