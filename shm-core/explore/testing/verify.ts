/** How the tests judge an exploration. */
import { expect } from 'vitest';
import type { ExplorerCase } from '../cases/explorer-case.ts';
import type { CodeUnderTest } from '../code-under-test.ts';
import { encodeSchedule, replay } from '../engine/schedule.ts';
import { search, type Violation } from '../engine/search.ts';

/** A guard against an exploration that has no end, far above what any takes. */
export const TIME_LIMIT = { timeout: 600_000 };

/** Explores the case as far as the tests go: nothing is wrong. */
export function verify(code: CodeUnderTest, explored: ExplorerCase): void {
  const { violation, complete } = search(() => explored.model(code), { bound: explored.ciBound });
  expect(violation === null ? null : withSchedule(code, explored, violation)).toBeNull();
  expect(complete).toBe(true);
}

/** What is wrong and how it comes about; it was performed again, and came to the same. */
export function withSchedule(code: CodeUnderTest, explored: ExplorerCase, violation: Violation): string {
  const schedule = encodeSchedule(violation);
  const { lines, message } = replay(explored.model(code), schedule);
  expect(message).toBe(violation.message);
  return [violation.message, ...lines, `npm run explore -- --case ${explored.name} --replay '${schedule}'`].join('\n');
}
