/** `leasehold revoke`: takes a lease away from its holder, who is told. */
import { checkName } from '@leasehold/client';
import type { Command } from 'commander';
import type { CliContext } from '../program/context.ts';
import { parseHoldId } from '../program/parse.ts';
import { withBroker } from './with-broker.ts';

export function register(program: Command, context: CliContext): void {
  program
    .command('revoke')
    .description('take a lease away from its holder')
    .argument('<name>', 'of the mapping')
    .argument('<hold-id>', 'of the lease, as leasehold leases shows it')
    .addHelpText(
      'after',
      '\nThe holder is told. Data under an exclusive lease is in doubt until somebody declares it good.',
    )
    .action(async (name: string, text: string, _options: unknown, command: Command) => {
      checkName(name);
      const holdId = parseHoldId(text);
      await withBroker(command, context, async (broker) => {
        const { signal } = context;
        const { info } = await broker.mapping(name, { signal });
        await broker.revokeLease({ mappingId: info.id, holdId, signal });
      });
    });
}
