/**
 * The payload bytes of slots, each viewed at most once and then reused. In `fenced` mode a view that is closed is detached: the
 * typed arrays made on it become empty at once, and the buffer that `transfer()` gives back serves the next one, whose array is made
 * there and then, when nobody waits for it. In `persistent` mode views are never detached and whoever keeps one too long reads
 * another frame.
 */
import type { MappedRange } from '../os/os.ts';
import type { ChannelGeometry } from './geometry.ts';

export type ViewMode = 'fenced' | 'persistent';

export class SlotViews {
  /** Whether views are detached when they are closed. */
  readonly fenced: boolean;
  readonly #range: MappedRange;
  readonly #geometry: ChannelGeometry;
  readonly #arrays: (Uint8Array<ArrayBuffer> | undefined)[];

  constructor(range: MappedRange, geometry: ChannelGeometry, mode: ViewMode) {
    this.#range = range;
    this.#geometry = geometry;
    this.fenced = mode === 'fenced' && range.transferable;
    this.#arrays = new Array<Uint8Array<ArrayBuffer> | undefined>(geometry.slots).fill(undefined);
  }

  /** The first `length` bytes of a slot; null when somebody took its memory out of our hands. */
  open(slot: number, length: number): Uint8Array<ArrayBuffer> | null {
    const kept = this.#arrays[slot];
    // A detached array has no length: one that has is good, and its buffer, which is slow to come by, need not be asked.
    if (kept !== undefined && kept.length === length && length > 0) return kept;
    if (kept === undefined) return this.#keep(slot, this.#view(slot, length));
    return kept.buffer.detached ? this.#giveUp() : this.#keep(slot, this.#resized(kept, slot, length));
  }

  /** Whether somebody else has detached or transferred what `open` gave: its memory is out of our hands. */
  isStolen(slot: number): boolean {
    const array = this.#arrays[slot];
    return array !== undefined && array.length === 0 && array.buffer.detached;
  }

  /** Detaches what `open` gave, or leaves it (`persistent`). False when it was stolen. */
  close(slot: number): boolean {
    const array = this.#arrays[slot];
    if (array === undefined) return true;
    if (this.isStolen(slot)) {
      this.#giveUp();
      return false;
    }
    if (this.fenced) this.#detach(slot, array);
    return true;
  }

  #detach(slot: number, { buffer, length }: Uint8Array<ArrayBuffer>): void {
    this.#arrays[slot] = new Uint8Array(buffer.transfer(), 0, length);
  }

  #giveUp(): null {
    this.#range.keepFromReuse();
    return null;
  }

  #keep(slot: number, array: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
    this.#arrays[slot] = array;
    return array;
  }

  #offset(slot: number): number {
    return this.#geometry.slotsOffset + slot * this.#geometry.slotStrideBytes;
  }

  #view(slot: number, length: number): Uint8Array<ArrayBuffer> {
    const { slotBytes } = this.#geometry;
    if (!this.#range.transferable) return this.#range.bytes(this.#offset(slot), length);
    return new Uint8Array(this.#range.view(this.#offset(slot), slotBytes), 0, length);
  }

  /** The same memory, longer or shorter. */
  #resized(kept: Uint8Array<ArrayBuffer>, slot: number, length: number): Uint8Array<ArrayBuffer> {
    if (!this.#range.transferable) return this.#range.bytes(this.#offset(slot), length);
    return new Uint8Array(kept.buffer, 0, length);
  }
}
