import { describe, expect, it } from 'vitest';
import { summarise, summaryLine } from './ci-summary.ts';

const report = (fields: Record<string, unknown> = {}): string =>
  JSON.stringify({
    numPassedTests: 10,
    numFailedTests: 0,
    numPendingTests: 0,
    numTodoTests: 0,
    success: true,
    ...fields,
  });

const line = (text: string | null, stages: readonly string[] = []): string => summaryLine(summarise(text, stages));

describe('the CI summary', () => {
  it('counts what passed', () => {
    expect(line(report())).toBe('10 passed, 0 failed');
  });

  it('tells of skips only when there are some', () => {
    expect(line(report({ numPendingTests: 2, numTodoTests: 1 }))).toBe('10 passed, 0 failed, 3 skipped');
  });

  it('counts failing tests once', () => {
    expect(line(report({ numFailedTests: 2, success: false }), ['tests'])).toBe('10 passed, 2 failed');
  });

  it('counts a failed check beside passing tests', () => {
    expect(line(report(), ['check'])).toBe('10 passed, 1 failed');
  });

  it('counts a test file that could not be loaded', () => {
    expect(line(report({ success: false }), ['tests'])).toBe('10 passed, 1 failed');
  });

  it('counts a run that failed although every test passed', () => {
    expect(line(report(), ['tests'])).toBe('10 passed, 1 failed');
  });

  it('counts a run that left no report', () => {
    expect(line(null, ['tests'])).toBe('0 passed, 1 failed');
    expect(line(null)).toBe('0 passed, 1 failed');
  });

  it('counts a run that was killed while it wrote its report', () => {
    expect(line('{"numPassedTests": 10, ', ['tests'])).toBe('0 passed, 1 failed');
  });

  it('does not take an empty run for a success', () => {
    expect(line(report({ numPassedTests: 0 }))).toBe('0 passed, 1 failed');
  });
});
