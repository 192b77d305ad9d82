/** What is said of a set of samples. Percentiles are exact: the sample at the nearest rank of all, sorted; nothing is dropped or averaged. */

export interface Distribution {
  readonly n: number;
  readonly p50Ns: number;
  readonly p99Ns: number;
  /** Of fewer than 1,000 samples: the largest. */
  readonly p999Ns: number;
  readonly maxNs: number;
}

export function distribution(samplesNs: readonly number[]): Distribution {
  if (samplesNs.length === 0) throw new Error('there are no samples');
  const sorted = Float64Array.from(samplesNs).sort();
  return {
    n: sorted.length,
    p50Ns: percentile(sorted, 0.5),
    p99Ns: percentile(sorted, 0.99),
    p999Ns: percentile(sorted, 0.999),
    maxNs: percentile(sorted, 1),
  };
}

/** The smallest sample that is not below `fraction` of all; `sorted` rises and is not empty. */
function percentile(sorted: Float64Array, fraction: number): number {
  return sorted[Math.max(0, Math.ceil(sorted.length * fraction) - 1)] ?? Number.NaN;
}

/**
 * One-way latencies from the two sides' stamps of the same hand-offs, without the first `leadIn`, which only bring both sides into step.
 * @throws Error when the sides do not agree on what was handed over.
 */
export function latenciesNs(sentNs: Float64Array, heldNs: Float64Array, leadIn: number): number[] {
  if (sentNs.length !== heldNs.length) throw new Error(`${sentNs.length} sent, but ${heldNs.length} received`);
  const latencies: number[] = [];
  for (let index = leadIn; index < sentNs.length; index += 1) {
    const latencyNs = (heldNs[index] ?? Number.NaN) - (sentNs[index] ?? Number.NaN);
    if (!(latencyNs >= 0)) throw new Error(`hand-off ${index} took ${latencyNs} ns: the processes' clocks disagree`);
    latencies.push(latencyNs);
  }
  return latencies;
}
