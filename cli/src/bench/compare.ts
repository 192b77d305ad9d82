/**
 * Two runs laid side by side: the ratio of each figure, by its id. Invariants: only figures of the same id and unit are divided; what one
 * run has alone is named, never dropped. A comparison judges nothing: the exit code does not depend on it.
 */
import type { CliContext } from '../program/context.ts';
import { colorsFor, printTable, type TableColumn } from '../program/output.ts';
import { figure } from './print-report.ts';
import type { Report, Result, Unit } from './report-model.ts';

export interface Change {
  readonly id: string;
  readonly unit: Unit;
  /** p50, or the value. */
  readonly before: number;
  readonly now: number;
  /** now / before; 1 when both are 0. */
  readonly ratio: number;
  /** The same of p99; null where there is none. */
  readonly p99Ratio: number | null;
  /** Null: moved by less than MOVED_MIN. */
  readonly verdict: 'better' | 'worse' | null;
}

export interface Comparison {
  /** Those that moved most come first. */
  readonly changes: readonly Change[];
  /** Ids. */
  readonly onlyBefore: readonly string[];
  readonly onlyNow: readonly string[];
  /** What makes the ratios say less than they seem to. */
  readonly cautions: readonly string[];
}

/** Two runs on one machine differ by so much without any reason. */
const MOVED_MIN = 1.1;

const MORE_IS_BETTER: ReadonlySet<Unit> = new Set(['frames/s', 'B/s', 'calls/s']);

export function compareReports(before: Report, now: Report): Comparison {
  const earlier = new Map(before.results.map((result) => [keyOf(result), result]));
  const later = new Map(now.results.map((result) => [keyOf(result), result]));
  const changes = now.results.flatMap((result) => {
    const other = earlier.get(keyOf(result));
    return other === undefined ? [] : [changeOf(other, result)];
  });
  return {
    changes: changes.sort((left, right) => movedBy(right.ratio) - movedBy(left.ratio)),
    onlyBefore: before.results.filter((result) => !later.has(keyOf(result))).map(({ id }) => id),
    onlyNow: now.results.filter((result) => !earlier.has(keyOf(result))).map(({ id }) => id),
    cautions: cautionsOf(before, now),
  };
}

const keyOf = ({ id, unit }: Result): string => `${id} ${unit}`;

/** How often the smaller figure is contained in the larger one. */
const movedBy = (ratio: number): number => Math.max(ratio, 1 / ratio);

const mainOf = ({ distribution, value }: Result): number => distribution?.p50 ?? value ?? Number.NaN;

const ratioOf = (before: number, now: number): number => (before === now ? 1 : now / before);

function changeOf(earlier: Result, later: Result): Change {
  const { id, unit } = later;
  const before = mainOf(earlier);
  const now = mainOf(later);
  const ratio = ratioOf(before, now);
  const tails = earlier.distribution !== undefined && later.distribution !== undefined;
  const p99Ratio = tails ? ratioOf(earlier.distribution.p99, later.distribution.p99) : null;
  const better = MORE_IS_BETTER.has(unit) ? ratio > 1 : ratio < 1;
  const verdict = movedBy(ratio) < MOVED_MIN ? null : better ? 'better' : 'worse';
  return { id, unit, before, now, ratio, p99Ratio, verdict };
}

function cautionsOf(before: Report, now: Report): readonly string[] {
  const cautions: string[] = [];
  for (const [name, { quick }] of [['earlier', before] as const, ['present', now] as const]) {
    if (quick) cautions.push(`the ${name} run was a quick one: its figures mean little`);
  }
  for (const what of ['cpuModel', 'cpuCount', 'kernel', 'node'] as const) {
    const [then, today] = [before.machine[what], now.machine[what]];
    if (then !== today) cautions.push(`${what} was ${then} and is ${today}: what moved may be the machine`);
  }
  return cautions;
}

/** Tells it all on standard output. */
export function printComparison(context: CliContext, comparison: Comparison, name: string): void {
  const { changes, onlyBefore, onlyNow, cautions } = comparison;
  const { bold, green, red, yellow } = colorsFor(context, 'stdout');
  const paint = (text: string): string => (text === 'better' ? green(text) : text === 'worse' ? red(text) : text);
  const columns: readonly TableColumn[] = [
    { heading: 'WHAT' },
    { heading: 'BEFORE', align: 'right' },
    { heading: 'NOW', align: 'right' },
    { heading: 'NOW/BEFORE', align: 'right' },
    { heading: 'P99 NOW/BEFORE', align: 'right' },
    { heading: '', paint },
  ];
  context.stdout.write(`${bold(`compared with ${name}`)}\n`);
  for (const caution of cautions) context.stdout.write(`${yellow(`note: ${caution}`)}\n`);
  printTable(context, columns, changes.map(row));
  for (const [which, ids] of [['the earlier', onlyBefore] as const, ['the present', onlyNow] as const]) {
    if (ids.length > 0) context.stdout.write(`only in ${which} run:\n${ids.map((id) => `  ${id}\n`).join('')}`);
  }
}

function row({ id, unit, before, now, ratio, p99Ratio, verdict }: Change): readonly string[] {
  const tail = p99Ratio === null ? '' : p99Ratio.toFixed(2);
  return [id, figure(before, unit), figure(now, unit), ratio.toFixed(2), tail, verdict ?? ''];
}
