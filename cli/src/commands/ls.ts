/** `leasehold ls`: what memory there is, and who uses it. */
import type { Command } from 'commander';
import type { CliContext } from '../program/context.ts';
import { formatBytes, formatOption, type OutputFormat, printJson, printTable } from '../program/output.ts';
import { formatText, listSummaries, type MappingSummary, pagesText } from './mapping-summary.ts';
import { withBroker } from './with-broker.ts';

interface ListOptions {
  readonly prefix?: string;
  readonly format: OutputFormat;
}

export function register(program: Command, context: CliContext): void {
  program
    .command('ls')
    .description('list channels and mappings')
    .option('--prefix <prefix>', 'only names that start so')
    .addOption(formatOption())
    .action(async ({ prefix, format }: ListOptions, command: Command) => {
      const mappings = await withBroker(command, context, (broker) =>
        listSummaries(broker, { ...(prefix !== undefined && { prefix }), signal: context.signal }),
      );
      if (format === 'json') printJson(context, { mappings });
      else printMappings(mappings, context);
    });
}

function printMappings(mappings: readonly MappingSummary[], context: CliContext): void {
  printTable(
    context,
    [
      { heading: 'NAME' },
      { heading: 'FORMAT' },
      { heading: 'SLOTS', align: 'right' },
      { heading: 'MEMORY', align: 'right' },
      { heading: 'PAGES' },
      { heading: 'PUBLISHER', align: 'right' },
      { heading: 'SUBSCRIBERS', align: 'right' },
      { heading: 'PUBLISHED', align: 'right' },
    ],
    mappings.map(row),
  );
}

function row(mapping: MappingSummary): (string | number | bigint)[] {
  const { name, channel, memory, readers } = mapping;
  const bytes = formatBytes(memory.mappedBytes);
  if (channel === null) return [name, '–', '–', bytes, memory.pageKind, '–', readers, '–'];
  const publisher = channel.publisher === null ? '–' : `pid ${channel.publisher.pid}`;
  const { slots, subscribers, published } = channel;
  return [name, formatText(channel.format), slots, bytes, pagesText(mapping), publisher, subscribers.length, published];
}
