/** `npm run bench:memory -- [--quick] [--json FILE] [--docs]`: what memory costs by kind of page, and what the broker answers meanwhile. */
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { checkMemoryBlock, writeMemoryBlock } from './memory-document.ts';
import { memoryMarkdown } from './memory-report.ts';
import { runMemoryBench } from './memory-run.ts';

const HELP = `usage: npm run bench:memory -- [options]

As root it sets the kernel's pools of large pages for each measurement and puts them back at the end. Otherwise it
measures what it can have, and says what it cannot and why. What is measured next goes to stderr.

  --quick      some seconds instead of minutes, with small mappings: shows that everything runs, the figures mean little
  --json FILE  also write everything as JSON
  --docs       also put the tables between the markers of docs/MEMORY.md
  --help
`;

async function main(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: {
      quick: { type: 'boolean', default: false },
      json: { type: 'string' },
      docs: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(HELP);
    return;
  }
  if (values.quick && values.docs) throw new Error('--docs wants the figures of a whole run: leave --quick out');
  if (values.docs) checkMemoryBlock();
  const report = await runMemoryBench(values.quick, (what) => process.stderr.write(`bench:memory: ${what}\n`));
  process.stdout.write(`${memoryMarkdown(report)}\n`);
  if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(report, null, 2)}\n`);
  if (values.docs) writeMemoryBlock(memoryMarkdown(report));
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  process.stderr.write(`bench:memory: ${error instanceof Error ? error.message : error}\n`);
  process.exitCode = 1;
}
