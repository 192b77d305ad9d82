/** How long frames take from publish to take, as percentiles. Recording costs no allocation. */
import { createHistogram } from 'node:perf_hooks';

/** Microseconds. */
export interface LatencyUs {
  readonly p50: number;
  readonly p99: number;
}

const NS_PER_US = 1_000;

export class LatencyRecorder {
  readonly #histogram = createHistogram({ lowest: 1, highest: 60_000_000_000, figures: 3 });

  record(latencyNs: number): void {
    this.#histogram.record(Math.max(1, Math.round(latencyNs)));
  }

  /** Null before the first record. */
  summary(): LatencyUs | null {
    if (this.#histogram.count === 0) return null;
    return { p50: this.#percentileUs(50), p99: this.#percentileUs(99) };
  }

  #percentileUs(percentile: number): number {
    return Math.round(this.#histogram.percentile(percentile) / NS_PER_US);
  }
}
