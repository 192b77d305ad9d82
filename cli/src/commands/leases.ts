/** `leasehold leases`: who holds which lock, for how long still, and who waits for it. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Broker, MappingLeases } from '@leasehold/client';
import { type Command, Option } from 'commander';
import type { CliContext } from '../program/context.ts';
import { UsageError } from '../program/errors.ts';
import {
  colorsFor,
  formatOption,
  type OutputFormat,
  printJson,
  printJsonLine,
  printTable,
  tableLines,
} from '../program/output.ts';
import { parseInteger } from '../program/parse.ts';
import { leaseColumns, leaseRows } from './lease-table.ts';
import { Repainting } from './repainting.ts';
import { readUserNames, type UserNames } from './user-names.ts';
import { withBroker } from './with-broker.ts';

const INTERVAL_MS_DEFAULT = 1_000;
const INTERVAL_MS_MIN = 50;
const INTERVAL_MS_MAX = 60 * 60 * 1_000;

interface LeasesOptions {
  readonly prefix?: string;
  readonly watch?: boolean;
  readonly intervalMs?: string;
  readonly format: OutputFormat;
}

const HELP = `
States: held; overdue: its time is over, and it goes as soon as somebody waits; waiting #N: the Nth in the queue; free.
dirty: an exclusive holder was lost, and nobody has declared the data good since (leasehold mark-clean NAME).
A channel's exclusive lease is its publisher's. leasehold revoke NAME HOLD_ID takes a lease away.
With --watch and --format json, or without a terminal, every look is one line: {"mappings":[…]}.`;

export function register(program: Command, context: CliContext): void {
  program
    .command('leases')
    .description('show who holds which lock, and who waits')
    .option('--prefix <prefix>', 'only names that start so')
    .option('--watch', 'look again and again, until Ctrl-C')
    .addOption(new Option('--interval-ms <ms>', `with --watch: time between looks (default: ${INTERVAL_MS_DEFAULT})`))
    .addOption(formatOption())
    .addHelpText('after', HELP)
    .action(async (options: LeasesOptions, command: Command) => {
      const intervalMs = intervalOf(options);
      await withBroker(command, context, async (broker) => {
        const look = () => broker.listLeases({ prefix: options.prefix ?? '', signal: context.signal });
        if (options.watch === true) await watch(look, intervalMs, showing(options, context), context);
        else print(await look(), options, context);
      });
    });
}

function intervalOf({ watch, intervalMs }: LeasesOptions): number {
  if (intervalMs === undefined) return INTERVAL_MS_DEFAULT;
  if (watch !== true) throw new UsageError('--interval-ms is of use with --watch only');
  return parseInteger(intervalMs, INTERVAL_MS_MIN, INTERVAL_MS_MAX);
}

function print(mappings: readonly MappingLeases[], { format }: LeasesOptions, context: CliContext): void {
  if (format === 'json') printJson(context, { mappings });
  else printTable(context, leaseColumns(context), leaseRows(mappings, readUserNames()));
}

type Look = () => ReturnType<Broker['listLeases']>;

/** Ends by its signal alone. */
async function watch(
  look: Look,
  intervalMs: number,
  show: (mappings: readonly MappingLeases[]) => void,
  { signal }: CliContext,
): Promise<never> {
  for (;;) {
    show(await look());
    await delay(intervalMs, undefined, { signal });
  }
}

/** How one look after the other is shown. */
function showing({ format }: LeasesOptions, context: CliContext): (mappings: readonly MappingLeases[]) => void {
  if (format === 'json' || !context.stdoutIsTty) return (mappings) => printJsonLine(context, { mappings });
  const picture = new Repainting(context);
  const userName: UserNames = readUserNames();
  const { dim } = colorsFor(context, 'stdout');
  return (mappings) => {
    const time = new Date().toTimeString().slice(0, 8);
    const table = tableLines(context, leaseColumns(context), leaseRows(mappings, userName));
    picture.paint([dim(`leases at ${time}; Ctrl-C ends`), '', ...table]);
  };
}
