/** `leasehold bench` as a program of its own, with more to measure, more options, and more that is done with the report. */
import { Command } from 'commander';
import { benchOptions } from '../commands/bench.ts';
import { exitCodeOfAbort, reportError, UsageError } from '../program/errors.ts';
import { ExitCode } from '../program/exit-codes.ts';
import { processContext } from '../program/process-context.ts';
import { type BenchFlags, bench } from './bench-command.ts';
import type { Peer } from './peer.ts';
import type { Report } from './report-model.ts';

export interface BenchProgram {
  readonly peers: readonly Peer[];
  /** Switches of its own: what follows `--`, and what it does. */
  readonly switches: Readonly<Record<string, string>>;
  /** Asked before anything is measured: why these options make no sense together; null: they do. */
  refuse(switches: ReadonlySet<string>, flags: BenchFlags): string | null;
  /** After the report was printed. */
  after(report: Report, switches: ReadonlySet<string>): Promise<void> | void;
}

/** Runs it to its end. Never rejects. @returns the exit code */
export async function runBenchProgram(args: readonly string[], program: BenchProgram): Promise<number> {
  const context = processContext();
  const command = benchOptions(new Command('bench')).exitOverride();
  for (const [name, what] of Object.entries(program.switches)) command.option(`--${name}`, what);
  command.action(async (flags: BenchFlags & Readonly<Record<string, unknown>>) => {
    const switches = new Set(Object.keys(program.switches).filter((name) => flags[name] === true));
    const why = program.refuse(switches, flags);
    if (why !== null) throw new UsageError(why);
    await program.after(await bench(flags, context, program.peers), switches);
  });
  try {
    await command.parseAsync(args, { from: 'user' });
    return context.signal.aborted ? exitCodeOfAbort(context.signal) : ExitCode.done;
  } catch (error) {
    return reportError(error, context);
  }
}
