import { describe, expect, it } from 'vitest';
import { handOffId, partsOf, waysOf } from './names.ts';
import { SAMPLE_RUN } from './testing/sample-run.ts';
import { bytesText, durationText, figureText, threeDigits } from './text.ts';

describe('figures as text', () => {
  it('have three digits that count, and the unit that fits', () => {
    expect([0.338, 1.234, 64.66, 1_731].map(threeDigits)).toEqual(['0.338', '1.23', '64.7', '1,731']);
    expect([85.5, 338, 999.6, 1_234, 25.04e6, 2e9].map(durationText)).toEqual([
      '85.5 ns',
      '338 ns',
      '1.00 µs',
      '1.23 µs',
      '25.0 ms',
      '2.00 s',
    ]);
    expect(figureText(5_020_000, 'frames/s')).toBe('5.02 M/s');
    expect(figureText(4.61e9, 'B/s')).toBe('4.61 GB/s');
    expect(figureText(0, '%')).toBe('0 %');
    expect(figureText(14_200, 'B')).toBe('14.2 kB');
    expect(figureText(1_234, 'ns')).toBe('1.23 µs');
  });

  it('call payloads what they are called', () => {
    expect([8, 64, 4_096, 1_048_576, 8_294_400, 33_177_600].map(bytesText)).toEqual([
      '8 B',
      '64 B',
      '4 KiB',
      '1 MiB',
      '8.3 MB',
      '33 MB',
    ]);
  });
});

describe('the id of a hand-off', () => {
  it('is taken apart and put together again', () => {
    for (const { id, group } of SAMPLE_RUN.results) {
      const parts = partsOf(id);
      if (group === 'hand-off') expect(parts && handOffId(parts, parts.payloadBytes)).toBe(id);
      else expect(parts, id).toBeNull();
    }
  });

  it('without the payload is a way, of which each is named once', () => {
    const ids = waysOf(SAMPLE_RUN).map((way) => handOffId(way, 0));
    expect(new Set(ids).size).toBe(ids.length);
    expect(ids).toContain('hand-off/leasehold/spin/fenced/0');
  });
});
