/** `leasehold health`: for scripts and health checks, whether a broker lives (is ready), or waits until one does (is). */
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type HealthService, HealthServices, probeHealth } from '@leasehold/broker';
import { findBroker, LeaseholdError, runtimeDirCandidates, type WhereToLook } from '@leasehold/client';
import type { Command } from 'commander';
import type { CliContext } from '../program/context.ts';
import { oneLine } from '../program/errors.ts';
import { ExitCode } from '../program/exit-codes.ts';
import { formatOption, type OutputFormat, printJson } from '../program/output.ts';
import { parseInteger } from '../program/parse.ts';

const WAIT_MS_MAX = 24 * 60 * 60 * 1000;
/** How long one question may take: a broker that answers later than this is not well. */
const PROBE_TIMEOUT_MS = 2_000;
const POLL_MS = 50;

interface HealthOptions {
  readonly runtimeDir?: string;
  readonly ready?: boolean;
  readonly waitMs?: string;
  readonly format: OutputFormat;
}

/** What was answered; `error` says why nothing was. */
interface Health {
  readonly status: 'serving' | 'not-serving' | 'unreachable';
  readonly controlSocket: string;
  readonly error?: LeaseholdError;
}

const HELP = `
Exit codes: 0 it does, 1 it lives but is not ready, 3 nobody answers, 4 this user may not ask, 6 not within --wait-ms.

Examples:
  leasehold health
  leasehold health --ready --wait-ms 10000 && start-cameras`;

export function register(program: Command, context: CliContext): void {
  program
    .command('health')
    .description('say whether the broker lives')
    .option('--ready', 'ask whether it is ready for work, too')
    .option('--wait-ms <ms>', 'wait that long for the answer to be yes')
    .addOption(formatOption())
    .addHelpText('after', HELP)
    .action(async (_options: unknown, command: Command) => {
      await checkHealth(command.optsWithGlobals<HealthOptions>(), context);
    });
}

async function checkHealth(options: HealthOptions, context: CliContext): Promise<void> {
  const waitMs = options.waitMs === undefined ? 0 : parseInteger(options.waitMs, 0, WAIT_MS_MAX);
  const service = options.ready ? HealthServices.readiness : HealthServices.liveness;
  const where = { runtimeDir: options.runtimeDir, env: context.env, uid: context.uid };
  const endMs = performance.now() + waitMs;
  let health = await ask(where, service, PROBE_TIMEOUT_MS);
  while (isWorthWaiting(health) && performance.now() < endMs) {
    await delay(Math.min(POLL_MS, endMs - performance.now()), undefined, { signal: context.signal });
    health = await ask(where, service, Math.max(POLL_MS, Math.min(PROBE_TIMEOUT_MS, endMs - performance.now())));
  }
  print(health, service, options.format, context);
  if (health.status === 'serving') return;
  if (waitMs > 0 && isWorthWaiting(health)) throw waitedInVain(health, service, waitMs);
  if (health.error !== undefined) throw health.error;
  context.stderr.write(`leasehold: the broker on ${health.controlSocket} is not ready\n`);
  context.setExitCode(ExitCode.failed);
}

/** Time does not give this user leave. */
function isWorthWaiting({ status, error }: Health): boolean {
  return status !== 'serving' && error?.code !== 'PERMISSION_DENIED';
}

/** Asks the broker that every other command would use. */
async function ask(where: WhereToLook, service: HealthService, timeoutMs: number): Promise<Health> {
  let controlSocket = join(runtimeDirCandidates(where)[0] ?? '', 'control.sock');
  try {
    controlSocket = findBroker(where).controlSocket;
    const serving = await probeHealth({ controlSocket, service, timeoutMs });
    return { status: serving ? 'serving' : 'not-serving', controlSocket };
  } catch (error) {
    if (!(error instanceof LeaseholdError)) throw error;
    return { status: 'unreachable', controlSocket, error };
  }
}

function waitedInVain(health: Health, service: HealthService, waitMs: number): LeaseholdError {
  const why =
    health.error === undefined ? `${health.controlSocket} answers "not ready"` : oneLine(health.error.message);
  return new LeaseholdError('TIMED_OUT', `no yes from ${service} within ${waitMs} ms: ${why}`, { cause: health.error });
}

function print(health: Health, service: HealthService, format: OutputFormat, context: CliContext): void {
  const { status, controlSocket } = health;
  if (format === 'json') printJson(context, { status, service, controlSocket });
  else if (status === 'serving') context.stdout.write(`serving ${controlSocket}\n`);
}
