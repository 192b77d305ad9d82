/**
 * Whether a slot holds the frame that a subscriber wants, and has pinned: its number, and a fencing token no older than any of a frame that
 * was taken before. The slot comes from the ring, which a publisher may have filled with anything.
 */
import { peek32 } from '../layout/control-words.ts';
import { FrameFlags } from '../layout/regions.ts';
import type { ChannelMemory } from './channel-memory.ts';
import { descriptorFlags, descriptorTokenHigh, descriptorTokenLow, hasSequence } from './descriptor.ts';
import type { OwnPins } from './own-pins.ts';
import { publishedWord } from './words.ts';

export class SlotCheck {
  readonly #memory: ChannelMemory;
  readonly #pins: OwnPins;
  /** Halves of the newest token. */
  #tokenLow = 0;
  #tokenHigh = 0;

  constructor(memory: ChannelMemory, pins: OwnPins) {
    this.#memory = memory;
    this.#pins = pins;
  }

  /**
   * IMPORTANT: pinned first, looked at second. The publisher marks first and looks at pins second; if the look came first here, it
   * could mark and find no pin in between, and overwrite what is being read. The ring was loaded since the pin was stored, and a plain
   * load of the state is not older than that.
   */
  isThere(slot: number, sequence: number): boolean {
    const memory = this.#memory;
    if (slot >= memory.geometry.slots || this.#pins.holds(slot)) return false;
    if (peek32(memory.descriptors, memory.stateAt(slot)) !== publishedWord(sequence)) return false;
    return hasSequence(memory, slot, sequence) && this.#isTokenCurrent(slot);
  }

  /** Of a slot that holds what is wanted: whether that is the end of a stream. */
  isEnd(slot: number): boolean {
    return (descriptorFlags(this.#memory, slot) & FrameFlags.endOfStream) !== 0;
  }

  #isTokenCurrent(slot: number): boolean {
    const low = descriptorTokenLow(this.#memory, slot);
    const high = descriptorTokenHigh(this.#memory, slot);
    if (low === this.#tokenLow && high === this.#tokenHigh) return true;
    const isNewer =
      high >>> 0 > this.#tokenHigh >>> 0 || (high === this.#tokenHigh && low >>> 0 > this.#tokenLow >>> 0);
    // An end mark is no frame that is taken.
    if (!isNewer || this.isEnd(slot)) return isNewer;
    this.#tokenLow = low;
    this.#tokenHigh = high;
    return true;
  }
}
