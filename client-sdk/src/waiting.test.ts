import { describe, expect, it } from 'vitest';
import { ExpectedWait } from './waiting.ts';

const US = 1_000;
const after = (...waitsUs: number[]): number => {
  const expected = new ExpectedWait();
  for (const us of waitsUs) expected.learn(1e12, 1e12 + us * US);
  return expected.spinNs / US;
};
const times = (count: number, us: number): number[] => new Array<number>(count).fill(us);

describe('what adaptive has learned', () => {
  it('makes it sleep at once as long as it knows nothing', () => {
    expect(after()).toBe(0);
  });

  it('makes it look for twice as long as a wait lasts, once waits are shorter than a wake-up', () => {
    expect(after(...times(60, 30))).toBeCloseTo(60, 3);
    expect(after(...times(60, 45))).toBeCloseTo(90, 3);
  });

  it('never makes it look for longer than two wake-ups, nor give up at a small delay', () => {
    expect(after(...times(60, 49.99))).toBeLessThanOrEqual(100);
    expect(after(...times(60, 1))).toBe(20);
  });

  it('makes it sleep at once when waits last longer than a wake-up: 60 frames a second cost no spinning', () => {
    expect(after(...times(60, 1), ...times(5, 16_667))).toBe(0);
    expect(after(...times(60, 60))).toBe(0);
  });

  it('is not forgotten for long by one pause', () => {
    expect(after(...times(60, 2), 1e9)).toBe(0);
    expect(after(...times(60, 2), 1e9, 2)).toBeGreaterThan(0);
  });

  it.each([
    ['published before the wait began', -5_000 * US],
    ['said to be published at no time at all', Number.NaN],
    ['said to be published at the end of time', Number.POSITIVE_INFINITY],
  ])('stays a length of time after a frame that was %s', (_, publishedNs) => {
    const expected = new ExpectedWait();
    for (let i = 0; i < 20; i += 1) expected.learn(1e12, publishedNs);
    expect(expected.spinNs).toBeGreaterThanOrEqual(0);
    expect(expected.spinNs).toBeLessThanOrEqual(100 * US);
  });
});
