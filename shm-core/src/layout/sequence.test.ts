import { describe, expect, it } from 'vitest';
import { eraOf, low32, wholeSequence } from './sequence.ts';

const AROUND = [1, 2 ** 30, 2 ** 31, 2 ** 32, 2 ** 33 + 2 ** 31, 2 ** 52].flatMap((k) => [k - 1, k, k + 1]);

describe('sequences', () => {
  it('are restored from their low half and an era that is up to 2^30 frames off', () => {
    for (const k of AROUND) {
      expect(wholeSequence(low32(k), eraOf(k))).toBe(k);
      expect(wholeSequence(low32(k), eraOf(k + 2 ** 30))).toBe(k);
      if (k > 2 ** 30) expect(wholeSequence(low32(k), eraOf(k - 2 ** 30))).toBe(k);
    }
  });
});
