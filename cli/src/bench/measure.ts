/** What is said of a set of samples. Percentiles are exact; nothing is dropped or averaged. */
import type { Distribution } from './report-model.ts';

/** Samples of all counted rounds. */
export class Samples {
  readonly #chunks: (readonly number[] | Float64Array)[] = [];

  add(samples: readonly number[] | Float64Array): void {
    this.#chunks.push(samples);
  }

  /** @throws Error when there are none, or one is no number. */
  distribution(): Distribution {
    const length = this.#chunks.reduce((sum, chunk) => sum + chunk.length, 0);
    const sorted = new Float64Array(length);
    let at = 0;
    for (const chunk of this.#chunks) {
      sorted.set(chunk, at);
      at += chunk.length;
    }
    return distributionOf(sorted.sort());
  }

  /** The sample in the middle. @throws Error as `distribution`. */
  median(): number {
    return this.distribution().p50;
  }
}

/** @throws Error when there are no samples, or one is no number. */
export function distribution(samples: readonly number[] | Float64Array): Distribution {
  return distributionOf(Float64Array.from(samples).sort());
}

/** `sorted` rises; what is no number is last. */
function distributionOf(sorted: Float64Array): Distribution {
  const max = sorted.at(-1);
  if (max === undefined) throw new Error('there are no samples');
  if (Number.isNaN(max)) throw new Error('a sample is no number');
  return {
    n: sorted.length,
    p50: percentile(sorted, 0.5),
    p99: percentile(sorted, 0.99),
    p999: percentile(sorted, 0.999),
    max,
  };
}

/** The smallest sample that is not below `fraction` of all; `sorted` rises and is not empty. */
function percentile(sorted: Float64Array, fraction: number): number {
  return sorted[Math.max(0, Math.ceil(sorted.length * fraction) - 1)] ?? Number.NaN;
}
