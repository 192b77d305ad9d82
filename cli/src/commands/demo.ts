/** `leasehold demo`, and the hidden commands that its processes are. */
import { type Command, Option } from 'commander';
import { runCamera } from '../demo/camera.ts';
import { runDemoProcess } from '../demo/child-side.ts';
import { type DemoReport, demoProblem, REPORT_COLUMNS, reportRemarks, reportRows } from '../demo/demo-report.ts';
import { runDemo } from '../demo/run-demo.ts';
import { SUBSCRIBER_NAMES } from '../demo/scene.ts';
import { runDemoSubscriber } from '../demo/subscriber.ts';
import type { CliContext } from '../program/context.ts';
import { UsageError } from '../program/errors.ts';
import { colorsFor, formatOption, type OutputFormat, printJson, printTable } from '../program/output.ts';
import { parseChoice, parseInteger } from '../program/parse.ts';
import { option } from './publish-options.ts';
import { withBroker } from './with-broker.ts';

const SECONDS_MAX = 24 * 60 * 60;

const HELP = `
A broker in a temporary directory, one process that renders 1080p60 into shared memory, three that work on the pixels there:
a luminance histogram, motion between frames, a thumbnail a second. It touches no broker that is running already.`;

export function register(program: Command, context: CliContext): void {
  program
    .command('demo')
    .description('show a camera shared by three processes, with figures')
    .option('--seconds <n>', 'how long to film', '10')
    .addOption(formatOption())
    .addHelpText('after', HELP)
    .action(async (flags: { seconds: string; format: OutputFormat }, self: Command) => {
      if (self.optsWithGlobals<{ runtimeDir?: string }>().runtimeDir !== undefined) {
        throw new UsageError('demo runs a broker of its own: leave --runtime-dir out');
      }
      const report = await runDemo(parseSeconds(flags.seconds), context);
      if (flags.format === 'json') printJson(context, report);
      else printReport(report, context);
      const problem = demoProblem(report);
      if (problem !== null) throw new Error(problem);
    });
  registerBroker(program);
  registerCamera(program, context);
  registerSubscriber(program, context);
}

function printReport(report: DemoReport, context: CliContext): void {
  printTable(context, REPORT_COLUMNS, reportRows(report));
  context.stdout.write('\n');
  for (const remark of reportRemarks(report)) {
    context.stdout.write(`${colorsFor(context, 'stdout').dim(remark)}\n`);
  }
}

/** `serve`, for as long as the demo is there. */
function registerBroker(program: Command): void {
  program
    .command('demo-broker', { hidden: true })
    .requiredOption('--state-dir <dir>')
    .action(async ({ stateDir }: { stateDir: string }, self: Command) => {
      const { runtimeDir } = self.optsWithGlobals<{ runtimeDir: string }>();
      const stop = () => process.kill(process.pid, 'SIGTERM');
      process.once('disconnect', stop);
      const places = ['--runtime-dir', runtimeDir, '--state-dir', stateDir];
      const behaviour = ['--http', 'off', '--drain-ms', '1000', '--log-level', 'error'];
      try {
        await program.parseAsync(['serve', ...places, ...behaviour], { from: 'user' });
      } finally {
        process.off('disconnect', stop);
        if (process.connected) process.disconnect();
      }
    });
}

function registerCamera(program: Command, context: CliContext): void {
  program
    .command('demo-camera', { hidden: true })
    .addOption(new Option('--seconds <n>').makeOptionMandatory())
    .action(async ({ seconds }: { seconds: string }, self: Command) => {
      await runDemoProcess(context.signal, (signal) =>
        withBroker(self, context, (broker) => runCamera(broker, parseSeconds(seconds), signal)),
      );
    });
}

function registerSubscriber(program: Command, context: CliContext): void {
  program
    .command('demo-subscriber', { hidden: true })
    .argument('<work>')
    .requiredOption('--thumbnails <dir>')
    .action(async (work: string, { thumbnails }: { thumbnails: string }, self: Command) => {
      const name = parseChoice(work, SUBSCRIBER_NAMES);
      await runDemoProcess(context.signal, (signal) =>
        withBroker(self, context, (broker) => runDemoSubscriber(broker, { name, thumbnailDir: thumbnails, signal })),
      );
    });
}

function parseSeconds(text: string): number {
  return option('--seconds', () => parseInteger(text, 1, SECONDS_MAX));
}
