/** `leasehold resize`: how much of a mapping's reservation is there. */
import { checkName } from '@leasehold/client';
import type { Command } from 'commander';
import type { CliContext } from '../program/context.ts';
import { formatOption, type OutputFormat, printJson } from '../program/output.ts';
import { naming, parseInteger, parseSize } from '../program/parse.ts';
import { mappingText, summarize } from './mapping-summary.ts';
import { withBroker } from './with-broker.ts';

const TIME_MS_MAX = 2 ** 31 - 1;

interface ResizeFlags {
  readonly onlyGrow?: boolean;
  readonly waitMs?: number;
  readonly format: OutputFormat;
}

const HELP = `
Whoever has it attached sees the new size at once. What is given back is free memory again, and reads as zero if it is
ever there again. Making a mapping smaller takes its exclusive lease for a moment: nobody may be using what goes.`;

export function register(program: Command, context: CliContext): void {
  program
    .command('resize')
    .description('make a mapping larger or smaller, within its reservation')
    .argument('<name>', 'of the mapping')
    .argument('<size>', 'bytes, for example 64MiB', naming('<size>', parseSize))
    .option('--only-grow', 'change nothing when it is as large already')
    .option(
      '--wait-ms <ms>',
      'how long to wait for the lease (default: 5000)',
      naming('--wait-ms', (text) => parseInteger(text, 0, TIME_MS_MAX)),
    )
    .addOption(formatOption())
    .addHelpText('after', HELP)
    .action(async (name: string, sizeBytes: number, flags: ResizeFlags, command: Command) => {
      checkName(name);
      const { onlyGrow = false, waitMs, format } = flags;
      const { signal } = context;
      const info = await withBroker(command, context, async (broker) => {
        const mapping = await broker.mapping(name, { signal });
        if (onlyGrow) return mapping.grow(sizeBytes, { signal });
        return mapping.resize(sizeBytes, { signal, ...(waitMs !== undefined && { waitMs }) });
      });
      if (format === 'json') printJson(context, summarize(info, null));
      else context.stdout.write(`${mappingText(info)}\n`);
    });
}
