/** `leasehold serve`: composes a broker from its settings, runs it until it is told to stop, drains it, and tidies up. */
import {
  type Amounts,
  type BrokerLog,
  type BrokerOptions,
  type BrokerSnapshot,
  createLog,
  type HttpServer,
  nextEpoch,
  openHugePagePool,
  openRuntimeDir,
  ownerOnly,
  type Readiness,
  type RunningBroker,
  type RuntimeDir,
  startBroker,
  startHttpServer,
} from '@leasehold/broker';
import type { Command } from 'commander';
import { type BrokerSettings, resolveSettings, type ServeFlags, type Setting } from '../program/broker-settings.ts';
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
Every option can be given as a variable: --drain-ms as LEASEHOLD_DRAIN_MS, and so on. A flag wins over a variable, and a
variable over the file of --config: TOML, with the keys that docs/CONFIGURATION.md lists.
The log is JSON lines on stderr. "leasehold: serving DIR" on stdout says that clients can connect.
SIGTERM, SIGINT or SIGHUP drains, and the exit code is then 0; a second one ends the broker at once.

Examples:
  leasehold serve
  leasehold serve --system --memory-quota 8GiB
  leasehold serve --huge-pages-reserve 4GiB
  leasehold serve --runtime-dir /tmp/mine --http off`;

export function register(program: Command, context: CliContext): void {
  program
    .command('serve')
    .description('run a broker in the foreground')
    .option('--config <file>', 'settings that neither a flag nor a variable gives (TOML)')
    .option('--state-dir <dir>', 'where the number of its last incarnation is kept')
    .option('--system', 'let other users connect, and let the policy decide what they may do (default for root)')
    .option('--no-system', 'keep the broker to this user and root')
    .option('--http <address>', 'HOST:PORT for /livez and /readyz, or off (default: 127.0.0.1:7411)')
    .option('--http-metrics', 'answer /metrics there too, to everybody who can connect')
    .option('--drain-ms <ms>', 'how long sessions may take to end when it is told to stop (default: 5000)')
    .option('--memory-quota <size>', 'bytes for all mappings together, for example 8GiB')
    .option('--huge-pages <use>', 'auto, or never: nobody gets large pages (default: auto)')
    .option(
      '--huge-pages-reserve <size>',
      "see that so much is free in the kernel's pool of 2 MiB pages, for example 4GiB",
    )
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
  const { quotas, ...single } = settings;
  const all = { ...single, ...quotaSettings(quotas) };
  const rows = Object.entries(all).map(([name, { value, origin }]) => [name, display(name, value), origin]);
  printTable(context, [{ heading: 'SETTING' }, { heading: 'VALUE' }, { heading: 'FROM' }], rows);
}

function quotaSettings(quotas: BrokerSettings['quotas']): Record<string, Setting<number>> {
  return Object.fromEntries(
    Object.entries(quotas).flatMap(([scope, settings]) =>
      Object.entries(settings).map(([dimension, setting]) => [`quotas.${scope}.${dimension}`, setting]),
    ),
  );
}

function display(name: string, value: unknown): string {
  if (value === null) return name === 'config' ? 'none' : 'by the memory of the machine';
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
    const stateDir = settings.stateDir.value;
    const epoch = await nextEpoch({ stateDir });
    const reserveBytes = settings.hugePagesReserveBytes.value;
    const hugePagePool = await openHugePagePool({ reserveBytes, stateDir, logger, signal: context.signal });
    try {
      const broker = await startBroker({ runtimeDir, epoch, policy, logger, hugePagePool, ...memoryOptions(settings) });
      toCome.broker = broker;
      await untilStopped({ broker, http, settings, context }, () => {
        logger.info({ runtimeDir: runtimeDir.path, pid: process.pid, epoch, http: http.tcpAddress }, 'ready');
        context.stdout.write(`leasehold: serving ${runtimeDir.path}\n`);
      });
    } finally {
      // After the mappings: the kernel takes free pages at once, and those in use when they are freed.
      await hugePagePool.close();
    }
  } finally {
    await http.close();
  }
  logger.info('stopped');
}

interface Running {
  readonly broker: RunningBroker;
  readonly http: HttpServer;
  readonly settings: BrokerSettings;
  readonly context: CliContext;
}

async function untilStopped({ broker, http, settings, context }: Running, announce: () => void): Promise<void> {
  try {
    announce();
    if ((await toldToStop(broker, context.signal)) === 'by-signal') await broker.drain(settings.drainMs.value);
  } finally {
    await http.close();
    await broker.close();
  }
}

function memoryOptions({ memoryQuotaBytes, hugePagesUse, quotas }: BrokerSettings): Partial<BrokerOptions> {
  const quota = memoryQuotaBytes.value;
  return {
    ...(quota !== null && { memoryQuotaBytes: quota }),
    largePages: hugePagesUse.value,
    quotas: { total: amounts(quotas.total), perUser: amounts(quotas.perUser) },
  };
}

type QuotasOfScope = BrokerSettings['quotas'][keyof BrokerSettings['quotas']];

function amounts(settings: QuotasOfScope): Amounts {
  return Object.fromEntries(Object.entries(settings).map(([dimension, { value }]) => [dimension, value]));
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
