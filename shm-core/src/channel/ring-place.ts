/** A sequence and where it is in the ring. Moving on by one costs no division. */
import { low32 } from '../layout/sequence.ts';
import { lapOf, nextLap, previousLap } from './words.ts';

export class RingPlace {
  /** A whole number below `SEQUENCE_LIMIT`. */
  sequence = 0;
  /** Of the entry that the sequence has, or will have. */
  index = 0;
  /** The lap in that entry once the frame is published; before it, `lapBefore`. */
  lap = 0;
  lapBefore = 0;
  readonly #entries: number;

  constructor(ringEntries: number, sequence: number) {
    this.#entries = ringEntries;
    this.moveTo(sequence);
  }

  moveTo(sequence: number): void {
    this.sequence = sequence;
    this.index = low32(sequence) & (this.#entries - 1);
    this.lap = lapOf(sequence, this.#entries);
    this.lapBefore = previousLap(this.lap);
  }

  moveOn(): void {
    this.sequence += 1;
    this.index = (this.index + 1) & (this.#entries - 1);
    if (this.index !== 0) return;
    this.lapBefore = this.lap;
    this.lap = nextLap(this.lap);
  }
}
