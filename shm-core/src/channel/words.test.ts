import { describe, expect, it } from 'vitest';
import * as words from './words.ts';

const AROUND = [1, 2 ** 30, 2 ** 31, 2 ** 32, 2 ** 33 + 2 ** 31, 2 ** 52]
  .flatMap((k) => [k - 1, k, k + 1])
  .filter((k) => k > 0);

describe('channel words', () => {
  it('keep free, published and writing apart for every sequence and owner', () => {
    for (const k of AROUND) {
      const word = words.publishedWord(k);
      expect(words.isPublished(word)).toBe(true);
      expect(words.isWriting(word)).toBe(false);
      expect(word).not.toBe(words.FREE);
    }
    for (const index of [0, 1, 127]) {
      for (const generation of [0, 1, words.GENERATION_LIMIT]) {
        const word = words.writingWord(index, generation);
        expect(words.isWriting(word)).toBe(true);
        expect(words.isPublished(word)).toBe(false);
        expect([words.writerIndex(word), words.writerGeneration(word)]).toEqual([index, generation]);
      }
    }
  });

  it('tell which frame is newer across every wrap', () => {
    for (const k of AROUND) {
      expect(words.aheadOf(words.publishedWord(k), k)).toBe(0);
      expect(words.aheadOf(words.publishedWord(k + 3), k)).toBe(3);
      if (k > 3) expect(words.aheadOf(words.publishedWord(k - 3), k)).toBe(-3);
    }
  });

  it('give a ring entry whose lap follows the lap before it, across the wrap of laps', () => {
    for (const ringEntries of [4, 1024]) {
      for (const k of [...AROUND, ringEntries * 2 ** 22 - 1, ringEntries * 2 ** 22]) {
        const lap = words.lapOf(k, ringEntries);
        const next = words.lapOf(k + ringEntries, ringEntries);
        expect(words.previousLap(next)).toBe(lap);
        expect(words.ringLap(words.ringWord(lap, 1021))).toBe(lap);
        expect(words.ringSlot(words.ringWord(lap, 1021))).toBe(1021);
      }
    }
  });
});
