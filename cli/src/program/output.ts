/**
 * How commands print: tables for people, JSON for scripts, colours only where somebody sees them.
 *
 * Invariant: what comes from other processes (names that clients gave themselves) cannot steer the terminal.
 */
import CliTable3 from 'cli-table3';
import { Option } from 'commander';
import picocolors from 'picocolors';
import type { CliContext } from './context.ts';

export type OutputFormat = 'table' | 'json';

/** `--format`, for commands that list something. */
export function formatOption(): Option {
  return new Option('--format <format>', 'how to print').choices(['table', 'json']).default('table');
}

/** Colour functions for one of the two outputs; they do nothing where colour is not wanted. */
export function colorsFor(
  context: CliContext,
  stream: 'stdout' | 'stderr',
): ReturnType<typeof picocolors.createColors> {
  const { env } = context;
  const isTty = stream === 'stdout' ? context.stdoutIsTty : context.stderrIsTty;
  return picocolors.createColors(!env.NO_COLOR && (Boolean(env.FORCE_COLOR) || (isTty && env.TERM !== 'dumb')));
}

/** One JSON document. u64 values become decimal strings, which lose nothing. */
export function printJson(context: CliContext, value: unknown): void {
  context.stdout.write(`${JSON.stringify(value, plainValue, 2)}\n`);
}

/** One line of a stream of JSON documents. */
export function printJsonLine(context: CliContext, value: unknown): void {
  context.stdout.write(`${JSON.stringify(value, plainValue)}\n`);
}

export interface TableColumn {
  readonly heading: string;
  readonly align?: 'left' | 'right';
  /** Colours a cell. It gets the whole row, as it will stand there. */
  readonly paint?: (text: string, row: readonly string[]) => string;
}

type TableRows = readonly (readonly (string | number | bigint)[])[];

/** A table without borders. Without rows it is the headings alone. */
export function printTable(context: CliContext, columns: readonly TableColumn[], rows: TableRows): void {
  context.stdout.write(`${tableLines(context, columns, rows).join('\n')}\n`);
}

/** What `printTable` prints. */
export function tableLines(context: CliContext, columns: readonly TableColumn[], rows: TableRows): string[] {
  const colors = colorsFor(context, 'stdout');
  const table = new CliTable3({
    head: columns.map(({ heading }) => colors.bold(heading)),
    colAligns: columns.map(({ align }) => align ?? 'left'),
    chars: BORDERLESS,
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 0 },
  });
  for (const row of rows) {
    const texts = row.map((cell) => printable(String(cell)));
    table.push(texts.map((text, index) => columns[index]?.paint?.(text, texts) ?? text));
  }
  return table.toString().replace(/ +$/gm, '').split('\n');
}

/** Text from elsewhere, with everything a terminal would obey made visible. */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '\uFFFD');
}

/** Bytes for people, for example `7.9 MiB`. */
export function formatBytes(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  const power = Math.min(units.length - 1, bytes < 1024 ? 0 : Math.floor(Math.log2(bytes) / 10));
  const value = bytes / 1024 ** power;
  return `${Number.isInteger(value) ? value : value.toFixed(1)} ${units[power]}`;
}

const BORDERLESS = {
  ...Object.fromEntries(
    ['top', 'bottom', 'mid', 'left', 'right'].flatMap((side) => [
      [side, ''],
      [`${side}-mid`, ''],
      [`${side}-left`, ''],
      [`${side}-right`, ''],
    ]),
  ),
  middle: '  ',
};

function plainValue(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? value.toString() : value;
}
