/** What a run of the memory benchmark found, as JSON has it. Every figure is of one page kind that the broker granted; what was not granted is in `notMeasured`. */
import type { Machine } from 'leasehold/bench';
import type { Distribution } from './memory-measure.ts';
import type { Kind } from './memory-plan.ts';

/** One size with one kind of page. Creating is by the broker, attaching and touching by another process than asked for it. */
export interface TouchResult {
  readonly kind: Kind;
  readonly sizeBytes: number;
  /** `createMapping`, until its promise is kept: the broker has populated it. With memory that may never have been touched before. */
  readonly firstCreate: Distribution;
  /** The same right after, with memory that has. */
  readonly create: Distribution;
  readonly attach: Distribution;
  /** One byte written for every 4 KiB, by a process that has touched none of it. */
  readonly firstTouch: Distribution;
  /** The same once more. */
  readonly secondTouch: Distribution;
  /** Every word read in order. */
  readonly inOrder: Distribution;
}

export interface WalkResult {
  readonly kind: Kind;
  readonly sizeBytes: number;
  readonly setBytes: number;
  /** One dependent read, as the mean of each batch. */
  readonly read: Distribution;
}

/** Where a block comes from, and the kind of pages that it must have; null: whatever Node.js takes. */
export interface Block {
  readonly from: 'alloc' | 'allocUnsafe' | 'pages' | 'mapping' | 'lease';
  readonly kind: Kind | null;
}

export const BLOCKS = {
  alloc: { from: 'alloc', kind: null },
  'alloc-unsafe': { from: 'allocUnsafe', kind: null },
  'pages-base': { from: 'pages', kind: 'base' },
  'pages-transparent-2m': { from: 'pages', kind: 'transparent-2m' },
  'pages-hugetlb-2m': { from: 'pages', kind: 'hugetlb-2m' },
  'mapping-base': { from: 'mapping', kind: 'base' },
  'mapping-transparent-2m': { from: 'mapping', kind: 'transparent-2m' },
  'mapping-hugetlb-2m': { from: 'mapping', kind: 'hugetlb-2m' },
  'lease-base': { from: 'lease', kind: 'base' },
} as const satisfies Readonly<Record<string, Block>>;
export type BlockId = keyof typeof BLOCKS;
export const BLOCK_IDS = Object.keys(BLOCKS) as BlockId[];

export interface BlockResult {
  readonly id: BlockId;
  /** Until the call returned, or its promise was kept. */
  readonly had: Distribution;
  /** And one byte of every 4 KiB written. */
  readonly touched: Distribution;
}

export interface BlockTimes {
  readonly hadNs: number;
  readonly touchedNs: number;
}

export const CHECKS = {
  health: '`grpc.health.v1` Check, a connection of its own',
  info: 'GetBrokerInfo, an open connection',
} as const;
export type CheckId = keyof typeof CHECKS;
export type CheckTimes = Readonly<Record<CheckId, readonly number[]>>;

/** Round trips of another process while the broker populates. */
export interface HealthResult {
  readonly check: CheckId;
  /** `idle`: the broker has nothing else to do. `bystander`: nor has it then, but another process takes as much memory as it would populate. */
  readonly during: 'idle' | 'bystander' | Kind;
  readonly sizeBytes: number;
  readonly latency: Distribution;
}

export interface ResizeResult {
  readonly kind: Kind;
  readonly direction: 'grow' | 'shrink';
  readonly attachments: number;
  readonly stepBytes: number;
  readonly latency: Distribution;
}

/** What a reservation of which one page is committed, and that another process has attached, added to each count, B. */
export interface ReserveResult {
  readonly kind: Kind;
  readonly reserveBytes: number;
  readonly committedBytes: number;
  /** Shared memory of the whole machine, and large pages that somebody has or was promised. */
  readonly memoryBytes: number;
  /** Page tables of the broker and of the process that has it attached. */
  readonly pageTableBytes: number;
  /** Resident shared memory and large pages of these two. */
  readonly residentBytes: number;
}

/** A figure that there is none of, and why. */
export interface NotMeasured {
  readonly what: string;
  readonly why: string;
}

export interface MemoryReport {
  readonly machine: Machine;
  /** Whether this machine tells its host which memory is free, and the host may take it back until the next touch. */
  readonly freeMemoryReported: boolean;
  /** What the kernel does with transparent pages, as it says itself: for anonymous memory, and for shared. */
  readonly transparent: { readonly anonymous: string; readonly shared: string };
  readonly quick: boolean;
  readonly tookSeconds: number;
  readonly touches: readonly TouchResult[];
  readonly walks: readonly WalkResult[];
  readonly blocks: { readonly sizeBytes: number; readonly results: readonly BlockResult[] };
  readonly health: readonly HealthResult[];
  readonly resizes: readonly ResizeResult[];
  readonly reserves: readonly ReserveResult[];
  readonly notMeasured: readonly NotMeasured[];
}
