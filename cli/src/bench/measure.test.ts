import { describe, expect, it } from 'vitest';
import { distribution, Samples } from './measure.ts';

describe('a distribution', () => {
  it('is of samples at the nearest rank, whatever the order they came in', () => {
    const samples = Array.from({ length: 10_000 }, (_, index) => 10_000 - index);
    expect(distribution(samples)).toEqual({ n: 10_000, p50: 5_000, p99: 9_900, p999: 9_990, max: 10_000 });
    expect(distribution([5, 1, 4, 2, 3])).toEqual({ n: 5, p50: 3, p99: 5, p999: 5, max: 5 });
    expect(distribution([7])).toEqual({ n: 1, p50: 7, p99: 7, p999: 7, max: 7 });
  });

  it('is of the samples of all rounds together', () => {
    const samples = new Samples();
    samples.add([3, 1]);
    samples.add(Float64Array.of(2, 5, 4));
    expect(samples.distribution()).toEqual(distribution([1, 2, 3, 4, 5]));
    expect(samples.median()).toBe(3);
  });

  it('is refused of nothing, and of what is no number', () => {
    expect(() => distribution([])).toThrow('no samples');
    expect(() => distribution([1, Number.NaN, 2])).toThrow('no number');
  });
});
