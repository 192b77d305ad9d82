/** Memory of a vector on a mapped segment, for tests. */
import type { MappedRange } from '../../os/os.ts';
import type { VectorMemory } from '../vector-memory.ts';

export function rangeMemory(range: MappedRange, pageBytes: number): VectorMemory {
  return {
    sizeBytes: range.mappedBytes,
    pageBytes,
    bytes: (offset, length) => range.bytes(offset, length),
    words32: (offset, count) => range.words32(offset, count),
    discard: (offset, length) => range.discard(offset, length),
    populate: (offset, length) => range.populate(offset, length),
  };
}
