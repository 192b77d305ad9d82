/** A part of a mapping's payload, for mappings that one view cannot show, and for those who need a part only. */
import type { ReadonlyBytes } from '@leasehold/shm-core/pages';
import type { PayloadViews } from './payload-views.ts';

export class MappingWindow<Bytes extends ReadonlyBytes | Uint8Array = ReadonlyBytes | Uint8Array>
  implements Disposable
{
  /** Where it begins in the payload, B. */
  readonly offset: number;
  /** @internal Where it ends. */
  readonly end: number;
  readonly #views: PayloadViews;
  readonly #bytes: Uint8Array<ArrayBuffer>;
  readonly #onClose: (intact: boolean) => void;
  #closed = false;

  /** @internal `onClose` is told whether nobody else has taken the view. */
  constructor(views: PayloadViews, offset: number, length: number, onClose: (intact: boolean) => void) {
    this.offset = offset;
    this.end = offset + length;
    this.#views = views;
    this.#bytes = views.openPart(offset, length);
    this.#onClose = onClose;
  }

  /** Exactly what was asked for. Its length is 0 when the window, or what it was opened from, is closed. */
  get bytes(): Bytes {
    // A reader's memory is mapped read-only, and its type has no way to write.
    return this.#bytes as ReadonlyBytes as Bytes;
  }

  /** Detaches `bytes`. Idempotent. @throws LeaseholdError VIEW_STOLEN: somebody else transferred them. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#onClose(this.#views.closePart(this.offset, this.#bytes));
  }
  [Symbol.dispose](): void {
    this.close();
  }
}
