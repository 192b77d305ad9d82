/**
 * What a run of the benchmark says: a plain object, written as JSON, from which tables, charts and comparisons are made. Invariant: the
 * `id` of a result means the same in every run, so that two runs can be laid side by side; another meaning gets another id.
 */

export const REPORT_FORMAT = 1;

/** In the order of the report. */
export const GROUPS = [
  'hand-off',
  'throughput',
  'fan-out',
  'channels',
  'leases',
  'control-plane',
  'scale',
  'idle',
  'memcpy',
] as const;
export type Group = (typeof GROUPS)[number];

export type Unit = 'ns' | 'frames/s' | 'B/s' | 'B' | '%' | 'calls/s';

/** Of all samples, in the result's unit. Percentiles are samples: the one at the nearest rank of all, sorted. */
export interface Distribution {
  readonly n: number;
  readonly p50: number;
  readonly p99: number;
  /** Of fewer than 1,000 samples: the largest. */
  readonly p999: number;
  readonly max: number;
}

export interface Result {
  /** For example `hand-off/leasehold/spin/persistent/4096`: the group, who, and what is varied. */
  readonly id: string;
  readonly group: Group;
  /** `leasehold`, or the peer's name. */
  readonly who: string;
  /** Whatever decides the figure. */
  readonly settings: Readonly<Record<string, string | number>>;
  readonly unit: Unit;
  /** One of the two is there. */
  readonly value?: number;
  readonly distribution?: Distribution;
  /** What has to be known to read the figure. */
  readonly note?: string;
}

export interface Machine {
  readonly cpuModel: string;
  readonly cpuCount: number;
  readonly memoryBytes: number;
  readonly kernel: string;
  readonly node: string;
  /** The cores of the two sides; null: the scheduler decided. */
  readonly cores: readonly [number, number] | null;
}

export interface Report {
  readonly format: typeof REPORT_FORMAT;
  readonly machine: Machine;
  /** ISO 8601, UTC. */
  readonly startedAt: string;
  readonly tookSeconds: number;
  /** Its figures mean little: it shows that everything runs. */
  readonly quick: boolean;
  /** Those that were counted. */
  readonly rounds: number;
  readonly results: readonly Result[];
}
