/** `leasehold mark-clean`: declares the data of a mapping good after an exclusive holder was lost. */
import { checkName } from '@leasehold/client';
import type { Command } from 'commander';
import type { CliContext } from '../program/context.ts';
import { withBroker } from './with-broker.ts';

export function register(program: Command, context: CliContext): void {
  program
    .command('mark-clean')
    .description('declare the data of a mapping good')
    .argument('<name>', 'of the mapping')
    .addHelpText(
      'after',
      '\nFor data that somebody has looked at and mended: from now on, holders are not told to doubt it.',
    )
    .action(async (name: string, _options: unknown, command: Command) => {
      checkName(name);
      await withBroker(command, context, (broker) => broker.markClean(name, { signal: context.signal }));
    });
}
