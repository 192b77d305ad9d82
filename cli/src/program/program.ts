/**
 * The command tree. A command is a module with `register(program, context)`; adding one is a line in COMMANDS.
 */
import { readFileSync } from 'node:fs';
import { Command } from 'commander';
import * as bench from '../commands/bench.ts';
import * as create from '../commands/create.ts';
import * as demo from '../commands/demo.ts';
import * as doctor from '../commands/doctor.ts';
import * as health from '../commands/health.ts';
import * as inspect from '../commands/inspect.ts';
import * as lease from '../commands/lease.ts';
import * as leases from '../commands/leases.ts';
import * as ls from '../commands/ls.ts';
import * as markClean from '../commands/mark-clean.ts';
import * as publish from '../commands/publish.ts';
import * as resize from '../commands/resize.ts';
import * as revoke from '../commands/revoke.ts';
import * as rm from '../commands/rm.ts';
import * as serve from '../commands/serve.ts';
import * as session from '../commands/session.ts';
import * as subscribe from '../commands/subscribe.ts';
import * as watch from '../commands/watch.ts';
import type { CliContext } from './context.ts';
import { exitCodeOfAbort, reportError } from './errors.ts';
import { ExitCode } from './exit-codes.ts';
import { colorsFor } from './output.ts';

export interface CommandModule {
  /** Adds the command with `program.command(…)`, which hands on how errors and help are printed. */
  register(program: Command, context: CliContext): void;
}

/** In the order of the help. */
const COMMANDS: readonly CommandModule[] = [
  serve,
  health,
  demo,
  publish,
  subscribe,
  create,
  resize,
  lease,
  session,
  ls,
  inspect,
  watch,
  rm,
  leases,
  revoke,
  markClean,
  doctor,
  bench,
];

const EXAMPLES = `
Examples:
  leasehold serve                                        run a broker in the foreground
  leasehold health --ready --wait-ms 5000                wait until it is ready
  ffmpeg -i in.mp4 -f yuv4mpegpipe - | leasehold publish cameras/front
  leasehold subscribe cameras/front | ffplay -
  leasehold lease jobs/nightly --create 1 -- ./nightly.sh
                                                         run something one at a time
  leasehold demo                                         see it all at once

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 broker unreachable, 4 denied, 5 not found, 6 timed out;
129 terminal closed (SIGHUP), 130 Ctrl-C (SIGINT), 143 told to stop (SIGTERM). serve that drained ends with 0.
lease and session end as the command they ran: 128+N when signal N killed it, 126 or 127 when it could not be started.`;

/** Runs the command that `args` (without node and script) name, to its end. Never rejects. */
export async function runProgram(args: readonly string[], context: CliContext): Promise<number> {
  try {
    await buildProgram(context).parseAsync(args, { from: 'user' });
    if (context.exitCode !== undefined) return context.exitCode;
    return context.signal.aborted ? exitCodeOfAbort(context.signal) : ExitCode.done;
  } catch (error) {
    return reportError(error, context);
  }
}

export function buildProgram(context: CliContext): Command {
  const program = new Command('leasehold')
    .description('Shared memory, on lease: a broker for named blocks of memory, and the tools around it.')
    .version(packageVersion(), '-V, --version', 'print the version')
    .helpOption('-h, --help', 'show this help')
    .option(
      '--runtime-dir <dir>',
      "the broker's runtime directory (default: $LEASEHOLD_RUNTIME_DIR, or where brokers usually are)",
    )
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({
      writeOut: (text) => void context.stdout.write(text),
      writeErr: (text) => void context.stderr.write(text),
      outputError: (text, write) => write(text.replace(/^error: /, 'leasehold: ')),
      getOutHelpWidth: () => context.stdout.columns || 100,
      getErrHelpWidth: () => context.stderr.columns || 100,
      getOutHasColors: () => colorsFor(context, 'stdout').isColorSupported,
      getErrHasColors: () => colorsFor(context, 'stderr').isColorSupported,
    })
    .exitOverride()
    .showHelpAfterError('(add --help to see what is possible)')
    .addHelpText('after', EXAMPLES);
  for (const command of COMMANDS) command.register(program, context);
  return program;
}

function packageVersion(): string {
  const manifest: { version: string } = JSON.parse(
    readFileSync(new URL('../../package.json', import.meta.url), 'utf8'),
  );
  return manifest.version;
}
