/** `npm run bench -- [--quick] [--json FILE] [--readme]`: hands payloads and leases from process to process in every way, and prints the figures. */
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { checkReadme, markdown, writeReadme } from './report.ts';
import { runBench } from './run.ts';

const README = new URL('../../README.md', import.meta.url);
const HELP = `usage: npm run bench -- [options]

  --quick      a few seconds instead of two minutes: shows that everything runs, the figures mean little
  --json FILE  also write everything as JSON
  --readme     also put the table between the bench markers of README.md
  --help
`;

async function main(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: {
      quick: { type: 'boolean', default: false },
      json: { type: 'string' },
      readme: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(HELP);
    return;
  }
  if (values.quick && values.readme) throw new Error('--readme wants the figures of a whole run: leave --quick out');
  if (values.readme) checkReadme(README);
  const report = await runBench(values.quick);
  process.stdout.write(`${markdown(report)}\n`);
  if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(report, null, 2)}\n`);
  if (values.readme) writeReadme(README, report);
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  process.stderr.write(`bench: ${error instanceof Error ? error.message : error}\n`);
  process.exitCode = 1;
}
