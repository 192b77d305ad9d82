/** Leasehold's shared memory as tools see it: the regions that processes share, and the words for what backs them. */

export type { Layout } from './layout/define-layout.ts';
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
