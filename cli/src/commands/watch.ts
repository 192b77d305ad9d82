/** `leasehold watch`: says what is created, changed and deleted, until Ctrl-C. */
import type { MappingChange } from '@leasehold/client';
import type { Command } from 'commander';
import type { CliContext } from '../program/context.ts';
import { colorsFor, formatOption, type OutputFormat, printJsonLine } from '../program/output.ts';
import { mappingText } from './mapping-summary.ts';
import { withBroker } from './with-broker.ts';

interface WatchOptions {
  readonly prefix?: string;
  readonly format: OutputFormat;
}

const HELP = `
What is there already comes first, as created. With --format json every event is one line:
{"event":"created"|"changed"|"deleted","mapping":{…}}, and {"event":"synced","mapping":null} when all that was there has been told.`;

export function register(program: Command, context: CliContext): void {
  program
    .command('watch')
    .description('show what is created, changed and deleted')
    .option('--prefix <prefix>', 'only names that start so')
    .addOption(formatOption())
    .addHelpText('after', HELP)
    .action(async ({ prefix, format }: WatchOptions, command: Command) => {
      await withBroker(command, context, async (broker) => {
        const changes = broker.watchMappings({ ...(prefix !== undefined && { prefix }), signal: context.signal });
        for await (const change of changes) {
          if (format === 'json') printJsonLine(context, change);
          else printChange(change, context);
        }
      });
      context.signal.throwIfAborted();
    });
}

function printChange({ event, mapping }: MappingChange, context: CliContext): void {
  if (mapping === null) {
    if (context.stderrIsTty) context.stderr.write(`${colorsFor(context, 'stderr').dim('watching; Ctrl-C ends')}\n`);
    return;
  }
  const colors = colorsFor(context, 'stdout');
  const paint = { created: colors.green, changed: colors.yellow, deleted: colors.red, synced: colors.dim }[event];
  const time = new Date().toISOString().slice(11, 23);
  context.stdout.write(`${colors.dim(time)} ${paint(event)} ${mappingText(mapping)}\n`);
}
