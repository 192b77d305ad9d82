/**
 * `npm run explore`: explores the cases deeper than every run of the tests does, at random where the whole is out of reach, and replays
 * what was found. Exit code 1: something is wrong; 2: wrong usage.
 */
import { parseArgs } from 'node:util';
import { ALL_CASES, caseNamed } from './cases/all-cases.ts';
import type { ExplorerCase } from './cases/explorer-case.ts';
import { type CodeUnderTest, loadCodeUnderTest } from './code-under-test.ts';
import { randomWalks } from './engine/random-walk.ts';
import { encodeSchedule, replay } from './engine/schedule.ts';
import { search, type Violation } from './engine/search.ts';

const USAGE = `npm run explore [-- OPTIONS]
  --case NAME        one case; otherwise all: ${ALL_CASES.map(({ name }) => name).join(', ')}
  --bound N|none     preemptions; otherwise as in the tests
  --seconds N        for each case; otherwise 600
  --random SEED      walks at random instead of searching
  --replay SCHEDULE  performs a schedule of --case step by step`;

const OPTIONS = {
  case: { type: 'string' },
  bound: { type: 'string' },
  seconds: { type: 'string', default: '600' },
  random: { type: 'string' },
  replay: { type: 'string' },
  help: { type: 'boolean', default: false },
} as const;

function wrongUsage(problem: string): never {
  console.error(`explore: ${problem}\n${USAGE}`);
  process.exit(2);
}

function parsed() {
  try {
    return parseArgs({ options: OPTIONS }).values;
  } catch (error) {
    return wrongUsage((error as Error).message);
  }
}

const values = parsed();

function wholeNumber(option: string, text: string): number {
  const value = Number(text);
  return text !== '' && Number.isSafeInteger(value) && value >= 0
    ? value
    : wrongUsage(`--${option} must be a whole number from 0, not ${JSON.stringify(text)}`);
}

function show(code: CodeUnderTest, explored: ExplorerCase, schedule: string): void {
  const { lines, message } = replay(explored.model(code), schedule);
  console.log(lines.map((line) => `  ${line}`).join('\n'));
  console.log(`  ⇒ ${message ?? 'nothing is wrong here'}`);
}

function explore(code: CodeUnderTest, explored: ExplorerCase): Violation | null {
  const timeLimitMs = wholeNumber('seconds', values.seconds) * 1000;
  const model = () => explored.model(code);
  if (values.random !== undefined) {
    const { violation, walks, steps } = randomWalks(model, { seed: wholeNumber('random', values.random), timeLimitMs });
    console.log(`${explored.name}: ${walks} walks, ${steps} steps, seed ${values.random}`);
    return violation;
  }
  const bound = boundOf(explored);
  const found = search(model, { bound, timeLimitMs });
  const extent = found.complete ? 'all of it' : 'NOT all of it';
  const limit = bound === Number.POSITIVE_INFINITY ? 'every interleaving' : `at most ${bound} preemptions`;
  const figures = `${found.states} states, ${found.transitions} steps, ${(found.elapsedMs / 1000).toFixed(1)} s`;
  console.log(`${explored.name} (${explored.title}): ${limit}, ${extent}, ${figures}`);
  return found.violation;
}

function boundOf({ ciBound }: ExplorerCase): number {
  if (values.bound === undefined) return ciBound;
  return values.bound === 'none' ? Number.POSITIVE_INFINITY : wholeNumber('bound', values.bound);
}

function chosenCases(): readonly ExplorerCase[] {
  if (values.case === undefined) return ALL_CASES;
  try {
    return [caseNamed(values.case)];
  } catch (error) {
    return wrongUsage((error as Error).message);
  }
}

async function main(): Promise<void> {
  if (values.help) return console.log(USAGE);
  const code = await loadCodeUnderTest();
  const cases = chosenCases();
  if (values.replay !== undefined) {
    if (values.case === undefined) wrongUsage('--replay needs --case, to know whose schedule it is');
    for (const explored of cases) show(code, explored, values.replay);
    return;
  }
  for (const explored of cases) {
    const violation = explore(code, explored);
    if (violation === null) continue;
    process.exitCode = 1;
    const schedule = encodeSchedule(violation);
    console.log(`  ${violation.message}`);
    console.log(`  npm run explore -- --case ${explored.name} --replay '${schedule}'`);
    show(code, explored, schedule);
  }
}

await main();
