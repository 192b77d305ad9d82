/**
 * The payload bytes of a mapping, for leases. A view is made once and detached at the end of its lease: the typed arrays on it become
 * empty at once, and the buffer that `transfer()` gives back serves the next lease.
 */
import { constants } from 'node:buffer';
import { LeaseholdError } from '@leasehold/proto';
import type { MappedRange } from '@leasehold/shm-core/internal';

export class LeaseViews {
  readonly #name: string;
  readonly #range: MappedRange;
  readonly #payloadBytes: number;
  readonly #idle: ArrayBuffer[] = [];

  /** `name`: of the mapping, for what is thrown. */
  constructor(name: string, range: MappedRange, payloadBytes: number) {
    this.#name = name;
    this.#range = range;
    this.#payloadBytes = payloadBytes;
  }

  /** @throws LeaseholdError INVALID_SIZE when the mapping is larger than one view can be. */
  open(): Uint8Array<ArrayBuffer> {
    const idle = this.#idle.pop();
    if (idle !== undefined) return new Uint8Array(idle);
    if (this.#payloadBytes > constants.MAX_LENGTH) {
      throw new LeaseholdError(
        'INVALID_SIZE',
        `${this.#name} has ${this.#payloadBytes} B; one view may have ${constants.MAX_LENGTH} B`,
      );
    }
    return this.#range.bytes(0, this.#payloadBytes);
  }

  /** Detaches what `open` gave. False when somebody else had detached or transferred it: its memory is out of our hands. */
  close({ buffer }: Uint8Array<ArrayBuffer>): boolean {
    if (!this.#range.transferable) return true;
    if (buffer.detached) {
      this.#range.keepFromReuse();
      return false;
    }
    this.#idle.push(buffer.transfer());
    return true;
  }
}
