/** What Leasehold's other packages need of shm-core. No promise of stability to anybody else. */

export { ChannelMemory } from './channel/channel-memory.ts';
export {
  type DescriptorCopy,
  descriptorPayloadBytes,
  descriptorPublishedNs,
  type FrameFields,
  NO_FIELDS,
  readDescriptor,
} from './channel/descriptor.ts';
export { type ChannelGeometry, channelGeometry, initialiseChannel, readGeometry } from './channel/geometry.ts';
export { ChannelPublisher, LoanRefusal } from './channel/publisher.ts';
export { SlotViews, type ViewMode } from './channel/slot-views.ts';
export { ChannelSubscriber, type SubscribeMode, TakeOutcome } from './channel/subscriber.ts';
export { GENERATION_LIMIT, NO_SLOT, publishedWord, ringWord, writingWord } from './channel/words.ts';
export type { Layout } from './layout/define-layout.ts';
export {
  ABI_VERSION,
  CHANNEL_HEADER,
  FRAME_DESCRIPTOR,
  LOCK_SEGMENT,
  MAGIC,
  MAX_PARTICIPANTS,
  MAX_PINS,
  MAX_SLOTS,
  PARTICIPANT_PAGE,
  USER_METADATA_BYTES,
} from './layout/regions.ts';
export { SEQUENCE_LIMIT } from './layout/sequence.ts';
export {
  FREE,
  holderBase,
  holdGeneration,
  holdIndex,
  isHoldId,
  isHoldOf,
  type LockMode,
  makeHoldId,
  REMOVING,
  RESERVED,
} from './lock/hold-id.ts';
export type { LockParticipant } from './lock/hold-remover.ts';
export {
  type ArbiterPorts,
  LockArbiter,
  type LockGrant,
  type LockRequest,
  type SeenHold,
} from './lock/lock-arbiter.ts';
export {
  type Hold,
  ParticipantLock,
  type ParticipantLockParts,
  TokensExhaustedError,
} from './lock/participant-lock.ts';
export { isRemovalMark, type RemovalReason, RemovalReasons } from './lock/removal.ts';
export { AttachedMapping, mapPage, type ReceivedSegment } from './mapping/attached-mapping.ts';
export {
  BrokerMapping,
  type BrokerMappingSpec,
  type GrantedSegment,
  type NewParticipant,
} from './mapping/broker-mapping.ts';
export { CorruptMemoryError } from './mapping/corrupt-memory.ts';
export { LockSegment } from './mapping/lock-segment.ts';
export { ParticipantPage } from './mapping/participant-page.ts';
export { type ClaimedPage, type ClaimPages, ParticipantPages } from './mapping/participant-pages.ts';
export { monotonicNs, openMonotonicClock } from './os/linux/clock.ts';
export { DoorbellEar, doorbellQueueRings, drainDoorbell, yieldThread } from './os/linux/doorbell-ear.ts';
export { type Bell, bindDoorbell, openRinger, type Ringer, type RingOutcome } from './os/linux/doorbells.ts';
export { tryLockFile } from './os/linux/file-lock.ts';
export { hugePageBytes, hugePagePool } from './os/linux/huge-pages.ts';
export { type MemoryHeadroom, memoryHeadroomBytes } from './os/linux/memory-limits.ts';
export { type OpenFilesLimit, openFilesLimit, raiseOpenFilesLimit } from './os/linux/open-files.ts';
export { type PeerCredentials, peerCredentials, peerGroups, peerPidfd } from './os/linux/peers.ts';
export { type Watch, watchReadable } from './os/linux/poller.ts';
export { createLinuxSegmentOs } from './os/linux/segments.ts';
export {
  acceptConnection,
  connectSeqpacket,
  hasUnreadPackets,
  listenSeqpacket,
  type ReceivedPacket,
  receivePacket,
  sendPacket,
  waitReadable,
} from './os/linux/sockets.ts';
export {
  type Access,
  type Advice,
  type AdviceOutcome,
  Advices,
  type MappedRange,
  OsError,
  type OwnedFd,
  type PageKind,
  type SegmentOs,
} from './os/os.ts';
export { SegmentAllocator } from './segment/allocate-segment.ts';
export { type FallbackReason, LargePagesUnavailable } from './segment/large-pages.ts';
export type { Progress } from './segment/populator.ts';
export { isOfMachine, type SegmentGrant } from './segment/segment.ts';
export { StepQueue } from './segment/step-queue.ts';
