/** `leasehold health`: for scripts and health checks, whether a broker lives (is ready), or waits until one does (is). */
import { setTimeout as delay } from 'node:timers/promises';
import { type HealthService, HealthServices, probeHealth, resolveRuntimeDir } from '@leasehold/broker';
import { LeaseholdError } from '@leasehold/client';
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

/** What the candidates answered. `error` says why the last of those that count gave no answer. */
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
  const sockets = candidateSockets(options, context);
  const endMs = performance.now() + waitMs;
  let health = await ask(sockets, service, PROBE_TIMEOUT_MS);
  while (health.status !== 'serving' && performance.now() < endMs) {
    await delay(Math.min(POLL_MS, endMs - performance.now()), undefined, { signal: context.signal });
    health = await ask(sockets, service, Math.max(POLL_MS, Math.min(PROBE_TIMEOUT_MS, endMs - performance.now())));
  }
  print(health, service, options.format, context);
  if (health.status === 'serving') return;
  if (waitMs > 0) throw waitedInVain(health, service, waitMs);
  if (health.error !== undefined) throw health.error;
  context.stderr.write(`leasehold: the broker on ${health.controlSocket} is not ready\n`);
  context.setExitCode(ExitCode.failed);
}

/** A directory that was named is the only one; otherwise the user's own broker comes before that of the system. */
function candidateSockets(options: HealthOptions, context: CliContext): string[] {
  const { runtimeDir } = options;
  const own = resolveRuntimeDir({ ...(runtimeDir && { runtimeDir }), env: context.env, uid: context.uid });
  const named = own.origin !== 'default' && own.origin !== 'XDG_RUNTIME_DIR';
  const directories = named ? [own.path] : [own.path, '/run/leasehold'];
  return [...new Set(directories)].map((directory) => `${directory}/control.sock`);
}

/** The first candidate that answers; if none does, why the first that is there did not. */
async function ask(sockets: readonly string[], service: HealthService, timeoutMs: number): Promise<Health> {
  const failures: Health[] = [];
  for (const controlSocket of sockets) {
    try {
      const serving = await probeHealth({ controlSocket, service, timeoutMs });
      return { status: serving ? 'serving' : 'not-serving', controlSocket };
    } catch (error) {
      if (!(error instanceof LeaseholdError)) throw error;
      failures.push({ status: 'unreachable', controlSocket, error });
    }
  }
  const worst = failures.find(({ error }) => error?.code !== 'BROKER_UNREACHABLE');
  return worst ?? { status: 'unreachable', controlSocket: sockets[0] ?? '', error: unreachable(sockets) };
}

function unreachable(sockets: readonly string[]): LeaseholdError {
  const message = `no broker answers on ${sockets.join(' or ')}; start one with \`leasehold serve\``;
  return new LeaseholdError('BROKER_UNREACHABLE', message, { metadata: { sockets: sockets.join(':') } });
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
