/** `npm run bench -- [options]`: `leasehold bench`, with the peers that need more than Node, and with the documents made from the report. */
import { type BenchFlags, runBenchProgram } from 'leasehold/bench';
import { peers } from './peers/peers.ts';
import { writeDocuments } from './report/documents.ts';
import { goalsText } from './report/goals.ts';

const DOCS = 'docs';

function refuse(switches: ReadonlySet<string>, { quick, only }: BenchFlags): string | null {
  if (!switches.has(DOCS) || (quick !== true && only === undefined)) return null;
  return '--docs wants the figures of a whole run: leave --quick and --only out';
}

process.exitCode = await runBenchProgram(process.argv.slice(2), {
  peers: peers(),
  switches: { [DOCS]: 'also make README.md, docs/PERFORMANCE.md and its charts from the figures' },
  refuse,
  after: (report, switches) => {
    if (!report.quick) process.stdout.write(goalsText(report));
    if (switches.has(DOCS)) writeDocuments(report);
  },
});
