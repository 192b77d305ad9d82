/** `node tests/bench/report/main.ts FILE | --check`: makes the documents of the benchmark anew from a saved run, or says which are stale. */
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { readReport } from 'leasehold/bench';
import { SAVED_RUN, staleDocuments, writeDocuments } from './documents.ts';

const HELP = `usage: node tests/bench/report/main.ts FILE
       node tests/bench/report/main.ts --check

FILE is what \`npm run bench -- --json FILE\` wrote. From it come README.md's and docs/PERFORMANCE.md's blocks, and all of docs/performance.
--check writes nothing and fails when they are not what ${SAVED_RUN} gives.
`;

function check(): void {
  const path = fileURLToPath(new URL(`../../../${SAVED_RUN}`, import.meta.url));
  const stale = staleDocuments(existsSync(path) ? readReport(path) : null);
  if (stale.length === 0) return;
  process.stderr.write(
    `${stale.join(', ')}: not what ${SAVED_RUN} gives; run \`node tests/bench/report/main.ts ${SAVED_RUN}\`.\n`,
  );
  process.exitCode = 1;
}

function main(args: string[]): void {
  const options = { check: { type: 'boolean', default: false }, help: { type: 'boolean', default: false } } as const;
  const { values, positionals } = parseArgs({ args, options, allowPositionals: true });
  const [file, ...more] = positionals;
  if (values.help) process.stdout.write(HELP);
  else if (values.check && file === undefined) check();
  else if (!values.check && file !== undefined && more.length === 0) writeDocuments(readReport(file));
  else throw new Error(`give one file, or --check\n\n${HELP}`);
}

try {
  main(process.argv.slice(2));
} catch (error) {
  process.stderr.write(`bench report: ${error instanceof Error ? error.message : error}\n`);
  process.exitCode = 2;
}
