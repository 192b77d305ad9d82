/** What is measured of leases. Each kind of figure has a mapping of its own, so that its participants stay the same. */

/** Pairs of a batch: one take and release is too short to be timed alone. */
export const PAIRS_PER_BATCH = 100;

export const LEASE_MAPPINGS = {
  takes: 'bench/leases/takes',
  handOvers: 'bench/leases/hand-overs',
  deaths: 'bench/leases/deaths',
} as const;

export interface Take {
  readonly mode: 'shared' | 'exclusive';
  readonly call: 'tryLease' | 'lease';
  /** Whether the first byte is read: makes the fenced view, and has it detached. */
  readonly view: boolean;
}

/** Uncontended, in memory. */
export const TAKES = {
  'try-shared': { mode: 'shared', call: 'tryLease', view: false },
  'try-exclusive': { mode: 'exclusive', call: 'tryLease', view: false },
  'try-shared-view': { mode: 'shared', call: 'tryLease', view: true },
  'try-exclusive-view': { mode: 'exclusive', call: 'tryLease', view: true },
  'lease-shared-view': { mode: 'shared', call: 'lease', view: true },
  'lease-exclusive-view': { mode: 'exclusive', call: 'lease', view: true },
} as const satisfies Readonly<Record<string, Take>>;
export type TakeId = keyof typeof TAKES;
export const TAKE_IDS = Object.keys(TAKES) as TakeId[];

export interface LeaseAmounts {
  /** Of each kind of taking. */
  readonly batches: number;
  /** How often each side gets the lease. */
  readonly handOvers: number;
  readonly deaths: number;
}

/** Of one round. */
export const amounts = (quick: boolean): LeaseAmounts =>
  quick ? { batches: 20, handOvers: 5, deaths: 1 } : { batches: 200, handOvers: 50, deaths: 10 };
