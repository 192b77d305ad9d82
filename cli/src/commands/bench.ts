/** `leasehold bench`. The benchmark itself is loaded only when it runs. */
import type { Command } from 'commander';
import type { BenchFlags } from '../bench/bench-command.ts';
import type { CliContext } from '../program/context.ts';
import { UsageError } from '../program/errors.ts';

const HELP = `
A broker in a temporary directory; whatever is measured, a little in every round. It touches no broker that is running already.
Groups: hand-off, throughput, fan-out, channels, leases, control-plane, scale, idle, memcpy.`;

/** Adds the options of the benchmark. */
export function benchOptions(command: Command): Command {
  return command
    .option('--quick', 'less than a minute instead of ten: shows that everything runs, the figures mean little')
    .option('--only <names>', 'only these groups, or what has an id that begins so, with commas between them')
    .option('--json <file>', 'also write everything as JSON')
    .option('--compare <file>', 'also print ratios to a run that was written so')
    .addHelpText('after', HELP);
}

export function register(program: Command, context: CliContext): void {
  benchOptions(program.command('bench').description('measure hand-offs, leases and the broker on this machine')).action(
    async (flags: BenchFlags, self: Command) => {
      if (self.optsWithGlobals<{ runtimeDir?: string }>().runtimeDir !== undefined) {
        throw new UsageError('bench runs a broker of its own: leave --runtime-dir out');
      }
      const { bench } = await import('../bench/bench-command.ts');
      await bench(flags, context);
    },
  );
}
