/** `leasehold rm`: deletes channels and mappings. Whoever uses one is told; what was taken stays readable until it is released. */
import { checkName } from '@leasehold/client';
import type { Command } from 'commander';
import type { CliContext } from '../program/context.ts';
import { reportError } from '../program/errors.ts';
import { withBroker } from './with-broker.ts';

export function register(program: Command, context: CliContext): void {
  program
    .command('rm')
    .description('delete channels and mappings')
    .argument('<names...>', 'what to delete')
    .addHelpText(
      'after',
      '\nA name that cannot be deleted does not keep the others; the exit code is that of the first failure.',
    )
    .action(async (names: string[], _options: unknown, command: Command) => {
      await withBroker(command, context, async (broker) => {
        for (const name of names) {
          context.signal.throwIfAborted();
          try {
            checkName(name);
            await broker.deleteMapping(name, { signal: context.signal });
          } catch (error) {
            const exitCode = reportError(error, context);
            if (context.exitCode === undefined) context.setExitCode(exitCode);
          }
        }
      });
    });
}
