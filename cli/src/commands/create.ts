/** `leasehold create`: a mapping that stays until it is deleted, made by an operator or a start script. */
import { type Broker, checkName, type PagePolicy, type PopulateProgress } from '@leasehold/client';
import { type Command, Option } from 'commander';
import type { CliContext } from '../program/context.ts';
import { formatBytes, formatOption, type OutputFormat, printJson } from '../program/output.ts';
import { naming, parseInteger, parseSize } from '../program/parse.ts';
import { mappingText, summarize } from './mapping-summary.ts';
import { ProgressLine } from './progress-line.ts';
import { withBroker } from './with-broker.ts';

/** As many as Linux can be built for. */
const NUMA_NODES_MAX = 1024;

interface CreateFlags {
  readonly reserve?: number;
  readonly pages: PagePolicy;
  readonly locked?: boolean;
  readonly numaNode?: number;
  readonly ifExists: 'fail' | 'open-if-same';
  readonly format: OutputFormat;
}

const HELP = `
The memory is there, all of it, when the command ends with 0. It stays until leasehold rm, or the end of the broker.
On a terminal Ctrl-C gives back what was populated so far.

Examples:
  leasehold create calibration 64MiB --pages require
  leasehold create clouds/map 1GiB --reserve 64GiB      room to grow: leasehold resize clouds/map 8GiB`;

export function register(program: Command, context: CliContext): void {
  program
    .command('create')
    .description('create a mapping')
    .argument('<name>', 'its name')
    .argument('<size>', 'bytes, for example 4096 or 64MiB', naming('<size>', parseSize))
    .option('--reserve <size>', 'what it may grow to; costs no memory', naming('--reserve', parseSize))
    .addOption(
      new Option('--pages <policy>', 'large pages: if they can be had, or else an error, or none')
        .choices(['auto', 'require', 'never'])
        .default('auto'),
    )
    .option('--locked', 'never swapped out; an error when that cannot be promised')
    .option(
      '--numa-node <number>',
      'memory of that node first',
      naming('--numa-node', (text) => parseInteger(text, 0, NUMA_NODES_MAX - 1)),
    )
    .addOption(
      new Option('--if-exists <what>', 'when the name is taken').choices(['fail', 'open-if-same']).default('fail'),
    )
    .addOption(formatOption())
    .addHelpText('after', HELP)
    .action(async (name: string, sizeBytes: number, flags: CreateFlags, command: Command) => {
      checkName(name);
      await withBroker(command, context, (broker) => create(broker, { name, sizeBytes }, flags, context));
    });
}

async function create(
  broker: Broker,
  { name, sizeBytes }: { readonly name: string; readonly sizeBytes: number },
  { reserve, pages, locked = false, numaNode, ifExists, format }: CreateFlags,
  context: CliContext,
): Promise<void> {
  const progress = new ProgressLine(context);
  try {
    const { info } = await broker.createMapping(name, {
      sizeBytes,
      ...(reserve !== undefined && { reserveBytes: reserve }),
      pages,
      locked,
      ...(numaNode !== undefined && { numaNode }),
      ifExists,
      persistent: true,
      signal: context.signal,
      onProgress: (populated) => progress.update(() => progressText(populated)),
    });
    progress.clear();
    if (format === 'json') printJson(context, summarize(info, null));
    else context.stdout.write(`${mappingText(info)}\n`);
  } finally {
    progress.clear();
  }
}

const progressText = ({ populatedBytes, totalBytes }: PopulateProgress): string =>
  `populating  ${formatBytes(populatedBytes)} of ${formatBytes(totalBytes)}`;
