/**
 * The loans of a publisher that are open, by slot, with their bytes. With persistent views the loan of a slot is one object for ever, so
 * that nothing is allocated for a frame.
 */
import type { ChannelGeometry, SlotViews } from '@leasehold/shm-core/internal';
import { Loan, type LoanOwner } from './loan.ts';

export class OpenLoans {
  readonly #owner: LoanOwner;
  readonly #views: SlotViews;
  readonly #slotBytes: number;
  readonly #loans: (Loan | null)[];
  readonly #isOpen: Uint8Array;
  #count = 0;

  constructor(owner: LoanOwner, views: SlotViews, { slots, slotBytes }: ChannelGeometry) {
    this.#owner = owner;
    this.#views = views;
    this.#slotBytes = slotBytes;
    this.#loans = new Array<Loan | null>(slots).fill(null);
    this.#isOpen = new Uint8Array(slots);
  }

  get count(): number {
    return this.#count;
  }
  all(): Loan[] {
    return this.#loans.filter((loan, slot): loan is Loan => loan !== null && this.#isOpen[slot] === 1);
  }

  /** Null when somebody has taken the slot's memory out of our hands. */
  open(slot: number): Loan | null {
    const bytes = this.#views.open(slot, this.#slotBytes);
    if (bytes === null) return null;
    let loan = this.#loans[slot] ?? null;
    if (loan !== null && !this.#views.fenced) {
      loan.reopen(bytes);
    } else {
      loan = new Loan(this.#owner, slot, bytes);
      this.#loans[slot] = loan;
    }
    this.#isOpen[slot] = 1;
    this.#count += 1;
    return loan;
  }

  /** Whether somebody has detached or transferred the bytes of an open loan. */
  isStolen(slot: number): boolean {
    return this.#views.isStolen(slot);
  }

  /** The loan is over, and its bytes are detached. */
  close(slot: number): void {
    this.#isOpen[slot] = 0;
    this.#count -= 1;
    this.#views.close(slot);
  }
}
