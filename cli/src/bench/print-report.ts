/** A report as people read it on a terminal: a table for each group. */
import type { CliContext } from '../program/context.ts';
import { colorsFor, formatBytes, printTable, type TableColumn } from '../program/output.ts';
import { GROUPS, type Machine, type Report, type Result, type Unit } from './report-model.ts';

const COLUMNS: readonly TableColumn[] = [
  { heading: 'WHAT' },
  { heading: 'P50 / VALUE', align: 'right' },
  { heading: 'P99', align: 'right' },
  { heading: 'P99.9', align: 'right' },
  { heading: 'MAX', align: 'right' },
  { heading: 'N', align: 'right' },
  { heading: 'NOTE' },
];

export function printReport(context: CliContext, report: Report): void {
  const { bold, dim } = colorsFor(context, 'stdout');
  for (const group of GROUPS) {
    const results = report.results.filter((result) => result.group === group);
    if (results.length === 0) continue;
    context.stdout.write(`${bold(group)}\n`);
    printTable(context, COLUMNS, results.map(row));
    context.stdout.write('\n');
  }
  context.stdout.write(`${dim(summary(report))}\n`);
}

function row({ id, group, unit, value, distribution, note = '' }: Result): readonly string[] {
  const what = id.slice(group.length + 1);
  if (distribution === undefined) return [what, value === undefined ? '' : figure(value, unit), '', '', '', '', note];
  const { p50, p99, p999, max, n } = distribution;
  return [what, ...[p50, p99, p999, max].map((sample) => figure(sample, unit)), n.toLocaleString('en-US'), note];
}

/** Three digits that count, and the unit. */
export function figure(value: number, unit: Unit): string {
  if (unit === 'ns') return duration(value);
  if (unit === 'B') return formatBytes(Math.round(value));
  if (unit === '%') return `${threeDigits(value)} %`;
  const [scale = '', divisor = 1] = SCALES.find(([, least]) => value >= least) ?? [];
  return `${threeDigits(value / divisor)} ${scale}${unit}`;
}

const SCALES: readonly (readonly [scale: string, divisor: number])[] = [
  ['G', 1e9],
  ['M', 1e6],
  ['k', 1e3],
];

function duration(ns: number): string {
  if (ns < 1e3) return `${threeDigits(ns)} ns`;
  if (ns < 1e6) return `${threeDigits(ns / 1e3)} µs`;
  return ns < 1e9 ? `${threeDigits(ns / 1e6)} ms` : `${threeDigits(ns / 1e9)} s`;
}

function threeDigits(value: number): string {
  const digits = value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2;
  return value.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

function summary({ machine, rounds, tookSeconds, quick }: Report): string {
  const { cpuModel, cpuCount, kernel, node } = machine;
  const run = `${rounds} interleaved ${rounds === 1 ? 'round' : 'rounds'} after one that is not counted, ${tookSeconds.toFixed(0)} s`;
  const warning = quick ? '\nA quick run shows that everything works; its figures mean little.' : '';
  return `${cpuModel}, ${cpuCount} cores (${pinning(machine)}), Linux ${kernel}, Node ${node}. ${run}.${warning}`;
}

const pinning = ({ cores }: Machine): string =>
  cores === null ? 'not pinned' : `the two sides pinned to ${cores[0]} and ${cores[1]}`;
