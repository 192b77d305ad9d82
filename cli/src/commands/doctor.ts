/** `leasehold doctor`: whether this machine is fit for a broker, what is wrong, and what mends it. Changes nothing. */
import { release } from 'node:os';
import { brokerVersion, memoryHeadroomBytes, readHugePageFigures } from '@leasehold/broker';
import type { BrokerInfo } from '@leasehold/client';
import type { Command } from 'commander';
import { examineBroker } from '../doctor/broker-check.ts';
import { type Check, overall, type Verdict, Verdicts } from '../doctor/check.ts';
import {
  checkHugePages,
  checkKernel,
  checkMemory,
  checkTransparentPages,
  type PoolToCheck,
} from '../doctor/kernel-checks.ts';
import { checkLimits, type Limits, readLimits } from '../doctor/limit-checks.ts';
import type { CliContext } from '../program/context.ts';
import { ExitCode } from '../program/exit-codes.ts';
import { colorsFor, formatOption, type OutputFormat, printJson, printTable } from '../program/output.ts';
import { withBroker } from './with-broker.ts';

const HELP = `
Works with and without a broker, and changes nothing. Exit codes: 0 nothing fails, 1 something does.

Examples:
  leasehold doctor
  leasehold doctor --format json | jq '.checks[] | select(.verdict != "ok")'`;

export function register(program: Command, context: CliContext): void {
  program
    .command('doctor')
    .description('say whether this machine is fit for a broker, and what to do about it')
    .addOption(formatOption())
    .addHelpText('after', HELP)
    .action(async ({ format }: { format: OutputFormat }, command: Command) => {
      const ask = () => withBroker(command, context, (broker) => broker.info({ signal: context.signal }));
      const { check, info } = await examineBroker(ask, brokerVersion());
      const checks = [...examineMachine(info), check];
      const verdict = overall(checks);
      if (format === 'json') printJson(context, { verdict, checks });
      else printChecks(checks, context);
      if (verdict === 'fail') context.setExitCode(ExitCode.failed);
    });
}

function examineMachine(broker: BrokerInfo | null): Check[] {
  return [
    checkKernel(release()),
    checkMemory(memoryHeadroomBytes('/', broker?.pid)),
    ...checkHugePages(poolsOf(broker)),
    checkTransparentPages(release()),
    ...checkLimits(limitsOf(broker)),
  ];
}

/** As they are now, and what the broker has of them. */
function poolsOf(broker: BrokerInfo | null): PoolToCheck[] {
  return readHugePageFigures().map((pool) => {
    const ours = broker?.hugePages.find(({ pageKind }) => pageKind === pool.pageKind)?.ourPages;
    return { ...pool, ...(ours !== undefined && { ourPages: ours }) };
  });
}

/** A broker in another container has a pid that says nothing here. */
function limitsOf(broker: BrokerInfo | null): Limits {
  try {
    return readLimits(broker?.pid ?? 'self');
  } catch {
    return readLimits('self');
  }
}

function printChecks(checks: readonly Check[], context: CliContext): void {
  const colors = colorsFor(context, 'stdout');
  const paints: Record<Verdict, (text: string) => string> = { ok: colors.green, warn: colors.yellow, fail: colors.red };
  const paint = (text: string) =>
    Verdicts.reduce((painted, verdict) => (text === verdict ? paints[verdict](text) : painted), text);
  const rows = checks.flatMap(({ verdict, name, found, mend }) => [
    [verdict, name, found],
    ...(mend === null ? [] : [['', '', `→ ${mend}`]]),
  ]);
  printTable(context, [{ heading: '', paint }, { heading: 'CHECK' }, { heading: 'FOUND' }], rows);
  const count = (verdict: Verdict) => checks.filter((check) => check.verdict === verdict).length;
  context.stdout.write(`\n${count('ok')} ok, ${count('warn')} to look at, ${count('fail')} failing\n`);
}
