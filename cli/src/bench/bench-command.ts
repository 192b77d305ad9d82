/** The options of the benchmark, for `leasehold bench` and for whoever adds peers to it, and what is done with the report. */
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import type { CliContext } from '../program/context.ts';
import { UsageError } from '../program/errors.ts';
import { colorsFor } from '../program/output.ts';
import { naming, parseChoice } from '../program/parse.ts';
import { compareReports, printComparison } from './compare.ts';
import type { Peer } from './peer.ts';
import { printReport } from './print-report.ts';
import { readReport } from './read-report.ts';
import { GROUPS, type Report } from './report-model.ts';
import { isAsked, runBench } from './run-bench.ts';

/** As commander leaves them. */
export interface BenchFlags {
  readonly quick?: boolean;
  readonly json?: string;
  readonly compare?: string;
  readonly only?: string;
}

/** Measures, prints, and writes what was asked for. @throws UsageError; whatever ended the run. */
export async function bench(flags: BenchFlags, context: CliContext, peers: readonly Peer[] = []): Promise<Report> {
  const only = flags.only === undefined ? undefined : naming('--only', parseNames)(flags.only);
  const { json } = flags;
  // Found out before ten minutes of measuring, not after.
  if (json !== undefined) naming('--json', requireWritable)(json);
  const earlier = flags.compare === undefined ? null : partOf(naming('--compare', readReport)(flags.compare), only);
  const { dim } = colorsFor(context, 'stderr');
  const report = await runBench({
    quick: flags.quick === true,
    ...(only !== undefined && { only }),
    peers,
    signal: context.signal,
    say: (text) => void context.stderr.write(`${dim(`bench: ${text}`)}\n`),
  });
  printReport(context, report);
  if (json !== undefined) writeFileSync(json, `${JSON.stringify(report, null, 2)}\n`);
  if (earlier !== null) printComparison(context, compareReports(earlier, report), flags.compare ?? '');
  return report;
}

/** Each begins with a group. @throws UsageError */
function parseNames(text: string): readonly string[] {
  const names = text.split(',').map((name) => name.trim().replace(/\/+$/, ''));
  for (const name of names) parseChoice(name.split('/')[0] ?? '', GROUPS);
  return names;
}

/** What was not asked for today is not missing. */
const partOf = (report: Report, only: readonly string[] | undefined): Report => ({
  ...report,
  results: report.results.filter(({ id }) => isAsked(id, only)),
});

/** Leaves no file behind, should nothing come of the run. @throws UsageError */
function requireWritable(path: string): void {
  const existed = existsSync(path);
  try {
    writeFileSync(path, '', { flag: 'a' });
    if (!existed) rmSync(path);
  } catch (cause) {
    throw new UsageError(`${path} cannot be written: ${cause instanceof Error ? cause.message : cause}`, { cause });
  }
}
