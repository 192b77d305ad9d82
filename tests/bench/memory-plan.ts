/** What is measured of memory: page kinds, sizes, and how often. A plan holds counts and sizes only; whether the machine can do it is found out when it is tried. */
import type { PagePolicy } from '@leasehold/client';

const KIB = 2 ** 10;
const MIB = 2 ** 20;
const GIB = 2 ** 30;

/** The kinds of pages of which there is a pool in the kernel. */
export const POOL_PAGE_BYTES = { 'hugetlb-2m': 2 * MIB, 'hugetlb-1g': GIB } as const;
export type PoolKind = keyof typeof POOL_PAGE_BYTES;

export const KINDS = ['base', 'transparent-2m', 'hugetlb-2m', 'hugetlb-1g'] as const;
export type Kind = (typeof KINDS)[number];

/** How a mapping of each kind is asked for. Transparent pages are what `auto` gets while the pools are empty. */
export const POLICY: Readonly<Record<Kind, PagePolicy>> = {
  base: 'never',
  'transparent-2m': 'auto',
  'hugetlb-2m': 'require',
  'hugetlb-1g': 'require',
};

export const poolKindOf = (kind: Kind): PoolKind | null =>
  kind === 'hugetlb-2m' || kind === 'hugetlb-1g' ? kind : null;

/** Whether pages of this kind would be mostly slack. */
export const tooSmallFor = (kind: Kind, sizeBytes: number): boolean => {
  const pool = poolKindOf(kind);
  return pool !== null && sizeBytes < POOL_PAGE_BYTES[pool];
};

/** One size of mapping, made `rounds` times with each kind of page, and read at random in working sets from its front. */
export interface SizePlan {
  readonly sizeBytes: number;
  readonly rounds: number;
  /** Powers of two, B, up to the size. */
  readonly workingSets: readonly number[];
}

export interface MemoryPlan {
  readonly sizes: readonly SizePlan[];
  readonly reads: { readonly perBatch: number; readonly batches: number };
  readonly blocks: { readonly rounds: number; readonly sizeBytes: number };
  readonly health: { readonly rounds: number; readonly sizeBytes: number; readonly idleMs: number };
  readonly resize: {
    readonly rounds: number;
    readonly attachments: readonly number[];
    readonly steps: readonly number[];
  };
  readonly reserveBytes: number;
}

/** The smallest set shows what the loop itself costs: it stays in the first cache and under one or four entries of the TLB. */
const LOOP_SET = 16 * KIB;

export const FULL: MemoryPlan = {
  sizes: [
    { sizeBytes: 512 * MIB, rounds: 5, workingSets: [LOOP_SET, 4 * MIB, 64 * MIB, 512 * MIB] },
    { sizeBytes: 4 * GIB, rounds: 3, workingSets: [4 * GIB] },
  ],
  reads: { perBatch: 500_000, batches: 10 },
  blocks: { rounds: 20, sizeBytes: 50 * MIB },
  health: { rounds: 8, sizeBytes: 4 * GIB, idleMs: 2_000 },
  resize: { rounds: 50, attachments: [1, 32], steps: [2 * MIB, 64 * MIB] },
  reserveBytes: 64 * GIB,
};

export const QUICK: MemoryPlan = {
  sizes: [{ sizeBytes: 16 * MIB, rounds: 1, workingSets: [LOOP_SET, 16 * MIB] }],
  reads: { perBatch: 10_000, batches: 2 },
  blocks: { rounds: 2, sizeBytes: 4 * MIB },
  health: { rounds: 1, sizeBytes: 256 * MIB, idleMs: 100 },
  resize: { rounds: 2, attachments: [1, 4], steps: [4 * MIB] },
  reserveBytes: 64 * GIB,
};
