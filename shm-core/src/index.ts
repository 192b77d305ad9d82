/** Leasehold's shared memory as tools see it: the regions that processes share, and the words for what backs them. */

export type { Layout } from './layout/define-layout.ts';
export { byteField, f32, f32s, f64, i32, reserved, u8, u16, u32, u32s, u64 } from './layout/define-layout.ts';
export {
  ABI_VERSION,
  CHANNEL_HEADER,
  FRAME_DESCRIPTOR,
  LOCK_SEGMENT,
  MAGIC,
  MAX_PARTICIPANTS,
  MAX_SLOTS,
  PARTICIPANT_PAGE,
} from './layout/regions.ts';
export { monotonicNs } from './os/linux/clock.ts';
export { type Access, OsError, type PageKind, PageKinds } from './os/os.ts';
export type { Elements, NumberArray, ReadonlyElements } from './vector/elements.ts';
export { CapacityError, InvalidVectorError } from './vector/errors.ts';
export { MAX_RECORDS, VECTOR_HEADER, VECTOR_MAGIC, VECTOR_VERSION } from './vector/header.ts';
export {
  type ReadonlyRecordView,
  type RecordCopy,
  type RecordField,
  type RecordFields,
  type RecordType,
  type RecordView,
  record,
} from './vector/record.ts';
export { SharedVector } from './vector/shared-vector.ts';
export type { ReadableVectorMemory, VectorMemory } from './vector/vector-memory.ts';
export type { VectorReader } from './vector/vector-reader.ts';
