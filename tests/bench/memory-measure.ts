/** What is said of a set of samples, in the words of the memory report. */
import * as bench from 'leasehold/bench';

export interface Distribution {
  readonly n: number;
  readonly p50Ns: number;
  readonly p99Ns: number;
  /** Of fewer than 1,000 samples: the largest. */
  readonly p999Ns: number;
  readonly maxNs: number;
}

/** @throws Error when there are no samples. */
export function distribution(samplesNs: readonly number[]): Distribution {
  const { n, p50, p99, p999, max } = bench.distribution(samplesNs);
  return { n, p50Ns: p50, p99Ns: p99, p999Ns: p999, maxNs: max };
}
