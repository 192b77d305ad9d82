/** `leasehold inspect`: everything the broker knows about one mapping. */
import { checkName, type MemoryGrant, type PrincipalInfo } from '@leasehold/client';
import type { Command } from 'commander';
import type { CliContext } from '../program/context.ts';
import {
  colorsFor,
  formatBytes,
  formatOption,
  type OutputFormat,
  printable,
  printJson,
  printTable,
} from '../program/output.ts';
import { type ChannelSummary, findSummary, formatText, type MappingSummary, pagesText } from './mapping-summary.ts';
import { withBroker } from './with-broker.ts';

export function register(program: Command, context: CliContext): void {
  program
    .command('inspect')
    .description('show everything about a channel or mapping')
    .argument('<name>', 'its name')
    .addOption(formatOption())
    .action(async (name: string, { format }: { format: OutputFormat }, command: Command) => {
      checkName(name);
      const mapping = await withBroker(command, context, (broker) => findSummary(broker, name, context.signal));
      if (format === 'json') printJson(context, mapping);
      else printSummary(mapping, context);
    });
}

function printSummary(mapping: MappingSummary, context: CliContext): void {
  const facts = [...mappingFacts(mapping), ...(mapping.channel === null ? [] : channelFacts(mapping.channel))];
  const { bold } = colorsFor(context, 'stdout');
  const width = Math.max(...facts.map(([label]) => label.length));
  for (const [label, value] of facts) context.stdout.write(`${bold(label.padEnd(width))}  ${value}\n`);
  const subscribers = mapping.channel?.subscribers ?? [];
  if (subscribers.length === 0) return;
  context.stdout.write('\n');
  printTable(
    context,
    [
      { heading: 'SUBSCRIBER' },
      { heading: 'MODE' },
      { heading: 'PINS', align: 'right' },
      { heading: 'TAKEN', align: 'right' },
      { heading: 'LOST', align: 'right' },
    ],
    subscribers.map(({ principal, mode, maxPins, taken, lost }) => [
      principalText(principal),
      mode,
      maxPins,
      taken,
      lost,
    ]),
  );
}

function mappingFacts(mapping: MappingSummary): [string, string][] {
  const { memory } = mapping;
  return [
    ['name', printable(mapping.name)],
    ['kind', mapping.channel === null ? 'mapping' : 'channel'],
    ['memory', memoryText(memory)],
    ['pages', `${pagesText(mapping)}, ${formatBytes(memory.pageBytes)} each`],
    ...stepDownFacts(memory),
    ['locked', memory.locked ? 'yes: never swapped out' : 'no'],
    ...numaFacts(memory),
    ['persistent', mapping.persistent ? 'yes' : 'no'],
    ['created', `${mapping.createTime.toISOString()} by ${principalText(mapping.creator)}`],
    ['participants', `${mapping.writers} writing, ${mapping.readers} reading, at most ${mapping.maxParticipants}`],
    ['data', mapping.dirty ? 'in doubt: an exclusive holder was lost (leasehold mark-clean)' : 'good'],
    ['fencing token', String(mapping.fencingToken)],
    ['lease waiters', String(mapping.leaseWaiters)],
  ];
}

function memoryText({ payloadBytes, mappedBytes, reservedBytes }: MemoryGrant): string {
  const there = `${formatBytes(payloadBytes)} of payload, ${formatBytes(mappedBytes)} in whole pages`;
  return reservedBytes === mappedBytes ? there : `${there}, room to grow to ${formatBytes(reservedBytes)}`;
}

function stepDownFacts({ stepDowns }: MemoryGrant): [string, string][] {
  if (stepDowns.length === 0) return [];
  return [['looked for', stepDowns.map(({ pageKind, reason }) => `${pageKind} (${reason})`).join(', ')]];
}

function numaFacts({ numa }: MemoryGrant): [string, string][] {
  return numa === null ? [] : [['NUMA node', numa]];
}

function channelFacts(channel: ChannelSummary): [string, string][] {
  const facts: [string, string][] = [
    ['format', formatText(channel.format)],
    ['slots', `${channel.slots} of ${formatBytes(channel.slotBytes)}`],
    ['overflow', channel.overflow],
    ['published', String(channel.published)],
    ['publisher', channel.publisher === null ? 'none' : principalText(channel.publisher)],
    ['standbys', String(channel.standbys)],
  ];
  for (const [key, value] of Object.entries(channel.format.attributes ?? {}))
    facts.push([printable(key), printable(value)]);
  return facts;
}

function principalText({ pid, uid, name }: PrincipalInfo): string {
  return `${name === '' ? 'unnamed' : printable(name)} (pid ${pid}, uid ${uid})`;
}
