/**
 * How a publisher makes a slot its own: marks it WRITING, then looks whether anybody has pinned the frame that was in it. Two steps, so
 * that several slots can be marked before the pins are looked at: they are on lines that subscribers write for every frame.
 * Invariant: between the two, a slot's old state word is known here; if it cannot be had, it is put back.
 */
import { cas32, peek32 } from '../layout/control-words.ts';
import type { ParticipantPages } from '../mapping/participant-pages.ts';
import type { ChannelMemory } from './channel-memory.ts';
import { descriptorSequenceLow } from './descriptor.ts';
import type { HeldLease } from './held-lease.ts';
import { Pins } from './pins.ts';
import { aheadOf, FREE, isPublished, isWriting, publishedWord, writerGeneration, writerIndex } from './words.ts';

/** Why `loan` gave no slot. All are negative, slots are not. */
export const LoanRefusal = {
  /** Every slot is pinned, loaned, or owned by a predecessor that is not known to be gone. */
  noSlot: -1,
  /** A `block` channel: somebody has not read what would be overwritten. */
  subscribersBehind: -2,
  /** The lease is not ours any more. */
  lost: -3,
  /** A subscriber joined whose page cannot be had. */
  pageMissing: -4,
} as const;

export class SlotMarks {
  readonly #memory: ChannelMemory;
  readonly #pages: ParticipantPages;
  readonly #pins: Pins;
  readonly #lease: HeldLease;
  readonly #writing: number;
  /** The state word that each marked slot had. */
  readonly #seen: Int32Array;

  /** `writing`: the state word of a slot that is ours. */
  constructor(memory: ChannelMemory, pages: ParticipantPages, lease: HeldLease, writing: number) {
    this.#memory = memory;
    this.#pages = pages;
    this.#pins = new Pins(memory.lock, pages);
    this.#lease = lease;
    this.#writing = writing;
    this.#seen = new Int32Array(memory.geometry.slots);
  }

  /** Marks a slot, unless it is somebody's. `next`: the frame to be published next; frames from `unreadFrom` on must not be overwritten. */
  mark(slot: number, next: number, unreadFrom: number): boolean {
    const { descriptors, lock, geometry } = this.#memory;
    const at = this.#memory.stateAt(slot);
    const seen = peek32(descriptors, at);
    if (isWriting(seen)) {
      if (!lock.isGone(writerIndex(seen), writerGeneration(seen))) return false;
    } else if (isPublished(seen)) {
      const ahead = aheadOf(seen, next);
      // A predecessor is just publishing it; or somebody has yet to read it. Farther ahead than there are slots is a frame so old
      // that its number has come round.
      const pending = ahead >= 0 && ahead <= geometry.slots;
      if (pending || (ahead < 0 && next + ahead >= unreadFrom)) return false;
    }
    if (this.#pins.pinned(this.#frameIn(slot, seen))) return false;
    if (!cas32(descriptors, at, seen, this.#writing)) return false;
    this.#seen[slot] = seen;
    return true;
  }

  /**
   * After `mark`: the slot, or a `LoanRefusal`, and then it has been put back.
   * IMPORTANT: pins are looked at again after the mark, of everyone who may have joined before it. A subscriber pins, then looks
   * at the state; with the mark first and this look second at least one of the two sees the other, and no frame is overwritten
   * under a reader. The look is plain: `refresh` has loaded `membership` since the mark, by `Atomics`, and it is not older than that.
   */
  confirm(slot: number): number {
    const seen = this.#seen[slot] as number;
    let refusal: number = slot;
    if (!this.#pages.refresh()) refusal = this.pageMissing();
    else if (this.#pins.pinned(this.#frameIn(slot, seen))) refusal = LoanRefusal.noSlot;
    else if (!this.#lease.isHeld) refusal = LoanRefusal.lost;
    if (refusal !== slot) cas32(this.#memory.descriptors, this.#memory.stateAt(slot), this.#writing, seen);
    this.#seen[slot] = 0;
    return refusal;
  }

  /**
   * The state word of the frame that is in a slot, of which `seen` was the state.
   * IMPORTANT: who marked it and is gone may have been killed before he looked at the pins. The frame is still in the slot then, perhaps
   * with a reader, and only the descriptor still says which it is: its sequence is not changed before the pins have been looked at.
   */
  #frameIn(slot: number, seen: number): number {
    return isWriting(seen) ? publishedWord(descriptorSequenceLow(this.#memory, slot)) : seen;
  }

  /** To one whose lease has ended the broker gives no pages any more: that is what it is told then. */
  pageMissing(): number {
    return this.#lease.isHeld ? LoanRefusal.pageMissing : LoanRefusal.lost;
  }

  /** Gives a marked slot back unpublished. Its old frame is gone: the slot is free, never again what it was. */
  free(slot: number): void {
    cas32(this.#memory.descriptors, this.#memory.stateAt(slot), this.#writing, FREE);
  }
}
