/** What is measured of leases, and how it is named. Each kind of figure has a mapping of its own, so that its participants stay the same. */
import type { Distribution } from './measure.ts';

/** Pairs of a batch: one take and release is too short to be timed alone. */
export const PAIRS_PER_BATCH = 100;

export const LEASE_MAPPINGS = {
  takes: 'bench/lease/takes',
  rpc: 'bench/lease/rpc',
  handOvers: 'bench/lease/hand-overs',
  deaths: 'bench/lease/deaths',
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

/** By a session that maps nothing, ns; in turn, so that both see the same machine. */
export interface RpcTimes {
  readonly bare: readonly number[];
  /** Both calls of a lease. */
  readonly pair: readonly number[];
}

/** Measured between processes. */
export type LeaseFigureId = TakeId | 'rpc-pair' | 'rpc-bare' | 'hand-over' | 'death' | 'death-kernel';

const takeName = ({ mode, call, view }: Take): string =>
  `${call === 'lease' ? 'await lease' : 'tryLease'}('${mode}')${view ? ', a byte of its view' : ''}, release()`;

export const LEASE_FIGURES: ReadonlyMap<LeaseFigureId, string> = new Map<LeaseFigureId, string>([
  ...TAKE_IDS.map((id): [LeaseFigureId, string] => [id, `\`${takeName(TAKES[id])}\``]),
  ['rpc-pair', 'RPC, nothing mapped: AcquireLease and ReleaseLease, exclusive, two calls'],
  ['rpc-bare', 'RPC of the same client in between: GetBrokerInfo, one call'],
  ['hand-over', 'process to process: `release()` to granted, exclusive'],
  ['death', 'SIGKILL of the holder to granted, exclusive'],
  ['death-kernel', 'of which: SIGKILL to the kernel having closed its sockets'],
]);

export interface LeaseResult {
  readonly id: LeaseFigureId;
  readonly name: string;
  /** Pairs in one sample, which is their mean. */
  readonly pairsPerSample: number;
  readonly latency: Distribution;
}

export interface LeaseReport {
  readonly results: readonly LeaseResult[];
  /** One call of a lease by RPC against one bare call: half of p50 of the pair by p50 of the bare call. */
  readonly rpcRatio: number;
}
