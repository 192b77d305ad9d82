import { pino } from 'pino';
import { describe, expect, it } from 'vitest';
import { FakeClock } from './domain/testing/fake-ports.ts';
import { guardedClock } from './guarded-clock.ts';

describe('a guarded clock', () => {
  it('logs what a timer throws, and runs the next', () => {
    const lines: string[] = [];
    const clock = new FakeClock();
    const guarded = guardedClock(clock, pino({}, { write: (line) => void lines.push(line) }));
    let ran = 0;
    guarded.after(1, () => {
      throw new Error('EMFILE');
    });
    guarded.after(2, () => {
      ran += 1;
    });
    clock.advance(2);
    expect(ran).toBe(1);
    expect(lines.join()).toContain('EMFILE');
  });
});
