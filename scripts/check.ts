// `npm run check`: everything that can be judged in seconds, without starting a broker; `--no-unit-tests` leaves those to a
// run of all tests. Invariants: every step runs even if another failed; a step's output is shown only if it failed; the
// last line names what failed; exit 1 then.
import { spawn } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';

interface Step {
  readonly name: string;
  readonly command: readonly [string, ...string[]];
}

interface StepResult {
  readonly name: string;
  readonly passed: boolean;
}

const UNIT_TESTS = 'unit tests';
const BIOME_COLOURS = `--colors=${process.stdout.isTTY ? 'force' : 'off'}`;

/** Types that have not changed since are not looked at again. */
const TYPES_SEEN = ['--incremental', '--tsBuildInfoFile', 'node_modules/.cache/leasehold-types/tests.tsbuildinfo'];

// Longest first. The first has as many processes as there are cores, so that the others end beside it.
const STEPS: readonly Step[] = [
  { name: UNIT_TESTS, command: ['vitest', 'run', '--project', 'unit'] },
  { name: 'types: sources (tsc -b)', command: ['tsc', '-b'] },
  { name: 'types: tests and scripts', command: ['tsc', '-p', 'tsconfig.tests.json', ...TYPES_SEEN] },
  { name: 'format and lint (biome)', command: ['biome', 'ci', BIOME_COLOURS, '.'] },
  { name: 'generated code is current', command: ['node', 'scripts/generated-drift.ts'] },
  { name: 'docs are current', command: ['npm', 'run', '--silent', 'docs:check'] },
  { name: 'protocol: lint (buf)', command: ['buf', 'lint'] },
  { name: 'protocol: breaking changes (buf)', command: ['buf', 'breaking', '--against', 'proto/baseline.binpb'] },
];

function runStep({ name, command: [program, ...args] }: Step): Promise<StepResult> {
  const startedMs = performance.now();
  const { promise, resolve } = Promise.withResolvers<StepResult>();
  const output: Buffer[] = [];
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  child.stdout.on('data', (chunk: Buffer) => output.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => output.push(chunk));
  // `close` also follows `error`, so the step is settled in one place.
  child.on('error', (error) => output.push(Buffer.from(`cannot start ${program}: ${error.message}\n`)));
  child.on('close', (exitCode) => {
    const passed = exitCode === 0;
    const seconds = ((performance.now() - startedMs) / 1_000).toFixed(1);
    console.log(`${passed ? 'ok    ' : 'FAILED'}  ${seconds.padStart(5)} s  ${name}`);
    if (!passed) {
      console.log(`\n$ ${[program, ...args].join(' ')}\n${Buffer.concat(output).toString('utf8').trimEnd()}\n`);
    }
    resolve({ name, passed });
  });
  return promise;
}

async function runAll(steps: readonly Step[], lanes: number): Promise<StepResult[]> {
  const waiting = [...steps];
  const results: StepResult[] = [];
  const lane = async (): Promise<void> => {
    for (let step = waiting.shift(); step !== undefined; step = waiting.shift()) {
      results.push(await runStep(step));
    }
  };
  await Promise.all(Array.from({ length: lanes }, lane));
  return results;
}

const { values: options } = parseArgs({ options: { 'no-unit-tests': { type: 'boolean', default: false } } });
const steps = STEPS.filter(({ name }) => name !== UNIT_TESTS || !options['no-unit-tests']);

const startedMs = performance.now();
const results = await runAll(steps, Math.min(availableParallelism(), 4));
const failed = results.filter(({ passed }) => !passed).map(({ name }) => name);
const seconds = ((performance.now() - startedMs) / 1_000).toFixed(1);
console.log(
  failed.length === 0
    ? `check: all ${results.length} steps passed in ${seconds} s`
    : `check: FAILED in ${seconds} s: ${failed.join('; ')}`,
);
process.exitCode = failed.length === 0 ? 0 : 1;
