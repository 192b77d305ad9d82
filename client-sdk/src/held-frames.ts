/**
 * The frames that a subscriber holds, by slot, with their bytes. With persistent views the frame of a slot is one object for ever, so
 * that nothing is allocated for a frame.
 */
import type { ChannelGeometry, SlotViews } from '@leasehold/shm-core/internal';
import { Frame, type FrameOwner } from './frame.ts';

export class HeldFrames {
  readonly #owner: FrameOwner;
  readonly #views: SlotViews;
  readonly #frames: (Frame | null)[];
  readonly #isHeld: Uint8Array;

  constructor(owner: FrameOwner, views: SlotViews, { slots }: ChannelGeometry) {
    this.#owner = owner;
    this.#views = views;
    this.#frames = new Array<Frame | null>(slots).fill(null);
    this.#isHeld = new Uint8Array(slots);
  }

  all(): Frame[] {
    return this.#frames.filter((frame, slot): frame is Frame => frame !== null && this.#isHeld[slot] === 1);
  }

  /** Null when somebody has taken the slot's memory out of our hands. */
  open(slot: number, sequence: number, payloadBytes: number): Frame | null {
    const bytes = this.#views.open(slot, payloadBytes);
    if (bytes === null) return null;
    let frame = this.#frames[slot] ?? null;
    if (frame !== null && !this.#views.fenced) {
      frame.reopen(sequence, bytes);
    } else {
      frame = new Frame(this.#owner, slot, sequence, bytes);
      this.#frames[slot] = frame;
    }
    this.#isHeld[slot] = 1;
    return frame;
  }

  /** Detaches a frame's bytes; it is held no longer. False when they were stolen: then it is held for ever. */
  close(slot: number): boolean {
    if (!this.#views.close(slot)) return false;
    this.#isHeld[slot] = 0;
    return true;
  }
}
