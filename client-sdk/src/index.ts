/** Leasehold's client: connect to the broker of this host, create channels and mappings, publish and subscribe without a copy. */

export { checkName, type ErrorCode, LeaseholdError } from '@leasehold/proto';
export {
  byteField,
  CapacityError,
  f32,
  f32s,
  f64,
  InvalidVectorError,
  i32,
  type ReadableVectorMemory,
  type ReadonlyRecordView,
  type RecordCopy,
  type RecordType,
  type RecordView,
  record,
  reserved,
  SharedVector,
  u8,
  u16,
  u32,
  u32s,
  u64,
  type VectorMemory,
  type VectorReader,
} from '@leasehold/shm-core';
export type { Advice, AdviceOutcome, PageKind, ViewMode } from '@leasehold/shm-core/internal';
export { monotonicNs } from '@leasehold/shm-core/internal';
export type { ReadonlyBytes } from '@leasehold/shm-core/pages';
export {
  Broker,
  type ChannelOptions,
  type ConnectOptions,
  connect,
  type MappingOptions,
} from './broker.ts';
export { Channel } from './channel.ts';
export { type BrokerSockets, findBroker, runtimeDirCandidates, type WhereToLook } from './find-broker.ts';
export { Frame, type FrameInfo } from './frame.ts';
export { Lease } from './lease.ts';
export type { LossReason } from './lease-errors.ts';
export type { WaitOptions } from './limits.ts';
export { Loan, type PublishOptions } from './loan.ts';
export { type LeaseOptions, Mapping, type ResizeOptions, type TryLeaseOptions } from './mapping.ts';
export { MappingAttachment } from './mapping-attachment.ts';
export type { OpenPublisherOptions } from './open-publisher.ts';
export type {
  BrokerInfo,
  ChannelInfo,
  FrameFormat,
  HugePagePoolInfo,
  LeaseHolderInfo,
  LeaseWaiterInfo,
  MappingChange,
  MappingInfo,
  MappingLeases,
  MemoryGrant,
  PagePolicy,
  PopulateProgress,
  PrincipalInfo,
  SubscriberInfo,
} from './plain-types.ts';
export { Publisher } from './publisher.ts';
export { openRpcSession, type RpcSession, type RpcSessionOptions } from './rpc-session.ts';
export { type SubscribeOptions, Subscriber } from './subscriber.ts';
export { WaitSet } from './wait-set.ts';
export type { WaitStrategy } from './waiting.ts';
export { MappingWindow } from './window.ts';
