/**
 * An attachment's payload as `SharedVector` takes it. Invariants: no view of it reaches beyond the payload that is there; whoever ends
 * the attachment knows every view.
 */
import { LeaseholdError } from '@leasehold/proto';
import type { VectorMemory } from '@leasehold/shm-core';
import type { MappedRange } from '@leasehold/shm-core/internal';
import { asLeaseholdError } from './memory-errors.ts';

export interface AttachmentMemoryParts {
  /** Of the mapping. */
  readonly name: string;
  readonly data: MappedRange;
  readonly pageBytes: number;
  /** Whether the memory was promised to stay where it is. */
  readonly locked: boolean;
  /** The payload now, B. @throws LeaseholdError CLOSED, CORRUPT_MEMORY. */
  readonly sizeBytes: () => number;
  /** Makes the payload at least so large, B. */
  readonly grow: (atLeastBytes: number) => Promise<unknown>;
  /** Told of each view that is given out. */
  readonly onView: (buffer: ArrayBufferLike) => void;
}

/** What it throws are LeaseholdErrors: CLOSED, INVALID_SIZE, OUT_OF_MEMORY, INVALID_STATE (see `discard`). */
export function attachmentMemory(parts: AttachmentMemoryParts): VectorMemory {
  const { data, pageBytes } = parts;
  const seen = <View extends ArrayBufferView>(view: View): View => {
    parts.onView(view.buffer);
    return view;
  };
  return {
    get sizeBytes() {
      return parts.sizeBytes();
    },
    pageBytes,
    bytes: (offset, length) => within(parts, offset, length, () => seen(data.bytes(offset, length))),
    words32: (offset, count) => within(parts, offset, count * 4, () => seen(data.words32(offset, count))),
    discard(offset, length) {
      if (parts.locked) throw notToBeGivenBack(parts.name);
      toEndOfPage(parts, offset, length, () => data.discard(offset, length));
    },
    populate: (offset, length) => toEndOfPage(parts, offset, length, () => data.populate(offset, length)),
    async grow(atLeastBytes) {
      await parts.grow(atLeastBytes);
    },
  };
}

function within<Result>(
  parts: AttachmentMemoryParts,
  offset: number,
  length: number,
  use: () => Result,
  limitBytes: number = parts.sizeBytes(),
): Result {
  if (!(offset >= 0 && length >= 0 && length <= limitBytes - offset)) {
    throw new LeaseholdError(
      'INVALID_SIZE',
      `${length} B at ${offset} are not within the ${limitBytes} B of ${parts.name}`,
    );
  }
  try {
    return use();
  } catch (error) {
    throw asLeaseholdError(error);
  }
}

/** Whole pages: the last one may be longer than its part of the payload. */
function toEndOfPage(parts: AttachmentMemoryParts, offset: number, length: number, use: () => void): void {
  within(parts, offset, length, use, Math.ceil(parts.sizeBytes() / parts.pageBytes) * parts.pageBytes);
}

/**
 * Of a pool of large pages others may take what was given back, and a reader that touches it is killed then; and what was promised never
 * to be swapped out would come back as memory that can be.
 */
const notToBeGivenBack = (name: string): LeaseholdError =>
  new LeaseholdError(
    'INVALID_STATE',
    `${name} consists of large pages or is locked in memory, and keeps what it has; make it smaller with mapping.resize`,
  );
