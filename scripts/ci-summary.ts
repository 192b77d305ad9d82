// The last line of a CI run: `N passed, N failed`, and `, N skipped` if any were. Invariant: nothing is hidden. A stage
// that failed outside the tests (an install, a check, a crash before the report was written) counts as one failure,
// and so does a run without a single passing test.
import { readFileSync } from 'node:fs';

export interface TestTotals {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

interface VitestReport {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly numPendingTests: number;
  readonly numTodoTests: number;
  readonly success: boolean;
}

/** Null for a report that is missing, or that a run which was killed left half written. */
function parseReport(text: string | null): VitestReport | null {
  try {
    return text === null ? null : (JSON.parse(text) as VitestReport);
  } catch {
    return null;
  }
}

/** `reportText` is null if the run left no report. */
export function summarise(reportText: string | null, failedStages: readonly string[]): TestTotals {
  const report = parseReport(reportText);
  if (report === null) {
    return { passed: 0, failed: Math.max(failedStages.length, 1), skipped: 0 };
  }
  // The stage `tests` fails because tests failed; those are counted already. Whatever else made it fail counts once.
  const outside = failedStages.filter((stage) => stage !== 'tests').length;
  const unexplained =
    report.numFailedTests === 0 && (!report.success || report.numPassedTests === 0 || failedStages.includes('tests'));
  return {
    passed: report.numPassedTests,
    failed: report.numFailedTests + outside + (unexplained ? 1 : 0),
    skipped: report.numPendingTests + report.numTodoTests,
  };
}

export function summaryLine({ passed, failed, skipped }: TestTotals): string {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`;
}

function readReport(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    console.error(`no test report: ${(error as Error).message}`);
    return null;
  }
}

if (import.meta.main) {
  const [reportPath = '', ...failedStages] = process.argv.slice(2);
  const totals = summarise(readReport(reportPath), failedStages);
  if (failedStages.length > 0) {
    console.log(`failed: ${failedStages.join(', ')}`);
  }
  console.log(summaryLine(totals));
  process.exitCode = totals.failed > 0 ? 1 : 0;
}
