/** What the SDK tells and takes, as plain values: no generated types, no units left to guess. */
import type { PageKind } from '@leasehold/shm-core/internal';

/** Whether large pages are wanted: where they can be had, or else an error, or not at all. */
export type PagePolicy = 'auto' | 'require' | 'never';

/** How much of a mapping's memory is there, B. */
export interface PopulateProgress {
  readonly populatedBytes: number;
  readonly totalBytes: number;
}

/** What the frames of a channel are. */
export interface FrameFormat {
  /** DRM FourCC, for example `RGBA` or `YU12`; empty when the payload is no picture. */
  readonly fourcc: string;
  /** Pixels. */
  readonly width: number;
  /** Pixels. */
  readonly height: number;
  /** B from one row of the first plane to the next; 0 = not stated. */
  readonly strideBytes?: number;
  /** Frames per second, as a fraction; 0/0 = not stated. */
  readonly frameRate?: { readonly numerator: number; readonly denominator: number };
  /** Whatever else readers must know. At most 32 entries; keys to 64, values to 256 B. */
  readonly attributes?: Readonly<Record<string, string>>;
}

/** The memory that was granted. */
export interface MemoryGrant {
  /** What may be used, B: as asked at first, then as resized. */
  readonly payloadBytes: number;
  /** What is there for it: whole pages, B. */
  readonly mappedBytes: number;
  /** What it may grow to, whole pages, B; `mappedBytes` when it keeps its size. */
  readonly reservedBytes: number;
  readonly pageKind: PageKind;
  /** Size of one page, B. */
  readonly pageBytes: number;
  /** Why it is less than `auto` hoped for, for example `POOL_EXHAUSTED`; null when it is not. */
  readonly fallbackReason: string | null;
  /** The kinds of pages that `auto` would have liked better, best first, and why they were not to be had. */
  readonly stepDowns: readonly { readonly pageKind: PageKind; readonly reason: string }[];
  /** Whether it is never swapped out. */
  readonly locked: boolean;
  /** What became of the wish for a NUMA node; null when there was none. */
  readonly numa: 'preferred' | 'unsupported' | null;
}

/** A client process, as the kernel and the broker name it. */
export interface PrincipalInfo {
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
  readonly sessionId: bigint;
  /** What it calls itself. */
  readonly name: string;
}

export interface MappingInfo {
  readonly name: string;
  /** Never reused by this broker. */
  readonly id: bigint;
  readonly memory: MemoryGrant;
  readonly persistent: boolean;
  readonly creator: PrincipalInfo;
  readonly createTime: Date;
  /** Whether it is laid out as a channel. */
  readonly channel: boolean;
  readonly readers: number;
  readonly writers: number;
  readonly maxParticipants: number;
  /** An exclusive holder was removed, and nobody has declared the data good since: it may be half written. */
  readonly dirty: boolean;
  /** The newest of its leases; of a channel, its publisher's. */
  readonly fencingToken: bigint;
  /** How many wait at the broker for its lock. */
  readonly leaseWaiters: number;
}

export interface LeaseHolderInfo {
  /** Never used twice on the same mapping. */
  readonly holdId: bigint;
  readonly mode: 'shared' | 'exclusive';
  /** Shared: the newest, as far as the broker knows. */
  readonly fencingToken: bigint;
  /** Null when its session is over. */
  readonly holder: PrincipalInfo | null;
  /** Until it must be renewed, ms. */
  readonly timeLeftMs: number;
  /** Its time is over; it is removed as soon as somebody waits. */
  readonly overdue: boolean;
}

export interface LeaseWaiterInfo {
  readonly principal: PrincipalInfo;
  readonly mode: 'shared' | 'exclusive';
  /** How long it has waited, ms. */
  readonly waitingMs: number;
  readonly holdId: bigint;
  /** How many are before it. */
  readonly position: number;
}

/** Who has the lock of a mapping, and who waits for it. */
export interface MappingLeases {
  readonly mappingName: string;
  readonly mappingId: bigint;
  /** Whether it is a channel: its exclusive lease is its publisher's. */
  readonly channel: boolean;
  readonly dirty: boolean;
  /** The newest. */
  readonly fencingToken: bigint;
  readonly holders: readonly LeaseHolderInfo[];
  /** In the order in which they will be served. */
  readonly waiters: readonly LeaseWaiterInfo[];
}

export interface SubscriberInfo {
  readonly principal: PrincipalInfo;
  readonly mode: 'queue' | 'latest';
  /** Frames it may hold at once. */
  readonly maxPins: number;
  /** As it counts them itself. */
  readonly taken: bigint;
  readonly lost: bigint;
}

export interface ChannelInfo {
  readonly name: string;
  readonly format: Required<FrameFormat>;
  readonly slots: number;
  /** Payload capacity of one slot, B. */
  readonly slotBytes: number;
  readonly overflow: 'overwrite' | 'block';
  readonly persistent: boolean;
  readonly memory: MemoryGrant;
  readonly creator: PrincipalInfo;
  readonly createTime: Date;
  /** Frames published since it was created. */
  readonly published: bigint;
  /** Sequence of the newest frame, or of the end of the stream; 0 when there was none. */
  readonly newestSequence: bigint;
  /** Of the publisher; 0 when there is none. */
  readonly fencingToken: bigint;
  readonly publisher: PrincipalInfo | null;
  readonly standbys: number;
  readonly subscribers: readonly SubscriberInfo[];
}

export interface BrokerInfo {
  readonly version: string;
  readonly pid: number;
  readonly uid: number;
  readonly epoch: number;
  readonly startTime: Date;
  readonly runtimeDir: string;
  readonly draining: boolean;
  readonly memoryQuotaBytes: number;
  readonly memoryChargedBytes: number;
  /** The kernel's pools of large pages, as the broker saw them at most a second ago. */
  readonly hugePages: readonly HugePagePoolInfo[];
}

export interface HugePagePoolInfo {
  readonly pageKind: PageKind;
  readonly totalPages: number;
  readonly freePages: number;
  /** Promised to somebody and not taken yet: counted in `freePages`, too. */
  readonly reservedPages: number;
  /** In mappings of this broker. */
  readonly ourPages: number;
}

/** One change of what the broker holds. `synced`: everything that was there when the watch began has been told. */
export interface MappingChange {
  readonly event: 'created' | 'changed' | 'deleted' | 'synced';
  /** Null in `synced`. */
  readonly mapping: MappingInfo | null;
}
