/** Reports for tests: small, and true to the model. */
import type { Distribution, Group, Report, Result } from '../report-model.ts';

/** Of `id`'s group; `rest` says the unit and the figure. */
export function sampleResult(id: string, rest: Pick<Result, 'unit'> & Partial<Result>): Result {
  const [group = '', who = ''] = id.split('/');
  return { id, group: group as Group, who, settings: {}, ...rest };
}

/** A distribution of 1,000 with this p50, and tails in proportion. */
export function sampleDistribution(p50: number, p99 = 3 * p50): Distribution {
  return { n: 1_000, p50, p99, p999: 2 * p99, max: 5 * p99 };
}

export function sampleReport(results: readonly Result[], rest: Partial<Report> = {}): Report {
  return {
    format: 1,
    machine: {
      cpuModel: 'Sample CPU',
      cpuCount: 2,
      memoryBytes: 8 * 2 ** 30,
      kernel: '6.18.0',
      node: 'v24.21.0',
      cores: [0, 1],
    },
    startedAt: '2026-11-21T12:00:00.000Z',
    tookSeconds: 500,
    quick: false,
    rounds: 10,
    results,
    ...rest,
  };
}
