/** `leasehold serve`: composes a broker from its settings, runs it until it is told to stop, drains it, and tidies up. */
import {
  type BrokerLog,
  type BrokerSnapshot,
  createLog,
  nextEpoch,
  openRuntimeDir,
  ownerOnly,
  type Readiness,
  type RunningBroker,
  type RuntimeDir,
  startBroker,
  startHttpServer,
} from '@leasehold/broker';
import type { Command } from 'commander';
import { type BrokerSettings, resolveSettings, type ServeFlags } from '../program/broker-settings.ts';
import type { CliContext } from '../program/context.ts';
import { ExitCode } from '../program/exit-codes.ts';
import { formatOption, type OutputFormat, printJson, printTable } from '../program/output.ts';

/** For the files that somebody forgets to give a mode. */
const PRIVATE_UMASK = 0o077;

type Logger = BrokerLog['logger'];

interface ServeOptions extends ServeFlags {
  readonly printConfig?: boolean;
  readonly format: OutputFormat;
}

const HELP = `
Every option can be given as a variable: --drain-ms as LEASEHOLD_DRAIN_MS, and so on. A flag wins over a variable.
The log is JSON lines on stderr. "leasehold: serving DIR" on stdout says that clients can connect.
SIGTERM, SIGINT or SIGHUP drains, and the exit code is then 0; a second one ends the broker at once.

Examples:
  leasehold serve
  leasehold serve --system --memory-quota 8GiB
  leasehold serve --runtime-dir /tmp/mine --http off`;

export function register(program: Command, context: CliContext): void {
  program
    .command('serve')
    .description('run a broker in the foreground')
    .option('--state-dir <dir>', 'where the number of its last incarnation is kept')
    .option('--system', 'let other users connect, and let the policy decide what they may do (default for root)')
    .option('--no-system', 'keep the broker to this user and root')
    .option('--http <address>', 'HOST:PORT for /livez and /readyz, or off (default: 127.0.0.1:7411)')
    .option('--http-metrics', 'answer /metrics there too, to everybody who can connect')
    .option('--drain-ms <ms>', 'how long sessions may take to end when it is told to stop (default: 5000)')
    .option('--memory-quota <size>', 'bytes for all mappings together, for example 8GiB')
    .option('--log-level <level>', 'fatal, error, warn, info, debug, trace or silent (default: info)')
    .option('--print-config', 'show every setting and where it is from, and exit')
    .addOption(formatOption())
    .addHelpText('after', HELP)
    .action(async (_options: unknown, command: Command) => {
      const options = command.optsWithGlobals<ServeOptions>();
      const settings = resolveSettings({ flags: options, env: context.env, uid: context.uid });
      if (options.printConfig) printSettings(settings, options.format, context);
      else await serve(settings, context);
    });
}

function printSettings(settings: BrokerSettings, format: OutputFormat, context: CliContext): void {
  if (format === 'json') {
    printJson(context, settings);
    return;
  }
  const rows = Object.entries(settings).map(([name, { value, origin }]) => [name, display(value), origin]);
  printTable(context, [{ heading: 'SETTING' }, { heading: 'VALUE' }, { heading: 'FROM' }], rows);
}

function display(value: unknown): string {
  if (value === null) return 'by the memory of the machine';
  return typeof value === 'object' ? Object.values(value).join(':') : String(value);
}

async function serve(settings: BrokerSettings, context: CliContext): Promise<void> {
  process.umask(PRIVATE_UMASK);
  const log = createLog(settings.logLevel.value);
  try {
    await serveIn(settings, context, log);
  } finally {
    log.close();
  }
}

async function serveIn(settings: BrokerSettings, context: CliContext, log: BrokerLog): Promise<void> {
  const runtimeDir = openRuntimeDir({ path: settings.runtimeDir.value, system: settings.system.value });
  const takeBack = context.onFatal((error) => {
    // First: whatever becomes of the log, the next broker must find the place free.
    try {
      runtimeDir.close();
    } finally {
      log.logger.fatal({ err: error }, 'the broker dies of an error that nobody expected');
      log.close();
    }
  });
  try {
    await runBroker(settings, context, runtimeDir, log.logger);
    context.setExitCode(ExitCode.done);
  } finally {
    takeBack();
    runtimeDir.close();
  }
}

/** What HTTP asks of the broker, which is there a moment later than HTTP is. */
class BrokerToCome {
  broker: RunningBroker | null = null;

  snapshot(): BrokerSnapshot {
    if (this.broker === null) throw new Error('the broker has not started yet');
    return this.broker.snapshot();
  }

  readiness(): Readiness {
    if (this.broker !== null) return this.broker.readiness();
    return { ready: false, checks: [{ name: 'started', ok: false, detail: 'the broker is starting' }] };
  }
}

/** The epoch is taken when everything else is had: there are 65,535, and a broker that cannot start must not use them up. */
async function runBroker(
  settings: BrokerSettings,
  context: CliContext,
  runtimeDir: RuntimeDir,
  logger: Logger,
): Promise<void> {
  const policy = ownerOnly(context.uid);
  const toCome = new BrokerToCome();
  const http = await startHttpServer({
    broker: { snapshot: () => toCome.snapshot(), readiness: () => toCome.readiness(), policy },
    socketPath: runtimeDir.httpSocket,
    socketMode: runtimeDir.socketMode,
    http: settings.http.value,
    metricsOnTcp: settings.httpMetrics.value,
    logger,
  });
  try {
    const epoch = await nextEpoch({ stateDir: settings.stateDir.value });
    const quota = settings.memoryQuotaBytes.value;
    const memory = quota === null ? {} : { memoryQuotaBytes: quota };
    const broker = await startBroker({ runtimeDir, epoch, policy, logger, ...memory });
    toCome.broker = broker;
    try {
      logger.info({ runtimeDir: runtimeDir.path, pid: process.pid, epoch, http: http.tcpAddress }, 'ready');
      context.stdout.write(`leasehold: serving ${runtimeDir.path}\n`);
      if ((await toldToStop(broker, context.signal)) === 'by-signal') await broker.drain(settings.drainMs.value);
    } finally {
      await http.close();
      await broker.close();
    }
  } finally {
    await http.close();
  }
  logger.info('stopped');
}

/** A broker that was drained by an RPC is closed already. */
async function toldToStop(broker: RunningBroker, signal: AbortSignal): Promise<'by-signal' | 'by-rpc'> {
  if (signal.aborted) return 'by-signal';
  const told = Promise.withResolvers<'by-signal'>();
  const stop = () => told.resolve('by-signal');
  signal.addEventListener('abort', stop);
  try {
    return await Promise.race([told.promise, broker.closed.then(() => 'by-rpc' as const)]);
  } finally {
    signal.removeEventListener('abort', stop);
  }
}
