/**
 * The payload bytes of slots, each viewed at most once and then reused. In `fenced` mode a view that is closed is detached: the
 * typed arrays made on it become empty at once, and the buffer that `transfer()` gives back serves the next one. In `persistent`
 * mode views are never detached and whoever keeps one too long reads another frame.
 */
import type { MappedRange } from '../os/os.ts';
import type { ChannelGeometry } from './geometry.ts';

export type ViewMode = 'fenced' | 'persistent';

export class SlotViews {
  readonly #range: MappedRange;
  readonly #geometry: ChannelGeometry;
  readonly #fenced: boolean;
  readonly #buffers: (ArrayBuffer | undefined)[];
  readonly #persistent: (Uint8Array<ArrayBuffer> | undefined)[];

  constructor(range: MappedRange, geometry: ChannelGeometry, mode: ViewMode) {
    this.#range = range;
    this.#geometry = geometry;
    this.#fenced = mode === 'fenced' && range.transferable;
    this.#buffers = new Array<ArrayBuffer | undefined>(geometry.slots).fill(undefined);
    this.#persistent = new Array<Uint8Array<ArrayBuffer> | undefined>(geometry.slots).fill(undefined);
  }

  /** The first `length` bytes of a slot; null when somebody took the memory of a `persistent` view out of our hands. */
  open(slot: number, length: number): Uint8Array | null {
    if (this.#fenced) {
      const buffer = this.#buffers[slot] ?? this.#view(slot);
      this.#buffers[slot] = buffer;
      return new Uint8Array(buffer, 0, length);
    }
    const kept = this.#persistent[slot];
    if (kept?.buffer.detached === true) {
      this.#range.keepFromReuse();
      return null;
    }
    if (kept !== undefined && kept.length === length) return kept;
    const bytes = this.#fresh(slot, kept).subarray(0, length);
    this.#persistent[slot] = bytes;
    return bytes;
  }

  /** Detaches what `open` gave. False when somebody else had detached or transferred it: its memory is out of our hands. */
  close(slot: number): boolean {
    if (!this.#fenced) return true;
    const buffer = this.#buffers[slot];
    if (buffer === undefined) return true;
    if (buffer.detached) {
      this.#buffers[slot] = undefined;
      this.#range.keepFromReuse();
      return false;
    }
    this.#buffers[slot] = buffer.transfer();
    return true;
  }

  #view(slot: number): ArrayBuffer {
    const { slotsOffset, slotStrideBytes, slotBytes } = this.#geometry;
    return this.#range.view(slotsOffset + slot * slotStrideBytes, slotBytes);
  }

  /** The whole slot, over the buffer that `kept` is on where there is one. */
  #fresh(slot: number, kept: Uint8Array<ArrayBuffer> | undefined): Uint8Array<ArrayBuffer> {
    const { slotsOffset, slotStrideBytes, slotBytes } = this.#geometry;
    if (kept !== undefined) return new Uint8Array(kept.buffer, kept.byteOffset, slotBytes);
    if (this.#range.transferable) return new Uint8Array(this.#view(slot));
    return this.#range.bytes(slotsOffset + slot * slotStrideBytes, slotBytes);
  }
}
