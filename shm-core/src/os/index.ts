/** What the rest of shm-core, and the broker and SDK through `./internal`, may use of the operating system. */
export { createInMemorySegmentOs } from './in-memory/segments.ts';
export { monotonicNs, openMonotonicClock } from './linux/clock.ts';
export { DoorbellEar, drainDoorbell } from './linux/doorbell-ear.ts';
export { bindDoorbell, openRinger, type Ringer } from './linux/doorbells.ts';
export { tryLockFile } from './linux/file-lock.ts';
export { hugePagePool } from './linux/huge-pages.ts';
export { type MemoryHeadroom, memoryHeadroomBytes } from './linux/memory-limits.ts';
export { type PeerCredentials, peerCredentials, peerGroups, peerPidfd } from './linux/peers.ts';
export { type Watch, watchReadable } from './linux/poller.ts';
export { createLinuxSegmentOs } from './linux/segments.ts';
export {
  acceptConnection,
  connectSeqpacket,
  listenSeqpacket,
  type ReceivedPacket,
  receivePacket,
  sendPacket,
  waitReadable,
} from './linux/sockets.ts';
export {
  type Access,
  type Advice,
  type AdviceOutcome,
  Advices,
  type CollapseOutcome,
  type MappedRange,
  OsError,
  type OwnedFd,
  type PageKind,
  PageKinds,
  type PagePool,
  type ResidentPart,
  type SegmentOs,
} from './os.ts';
