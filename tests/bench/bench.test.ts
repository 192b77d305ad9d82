/** That the benchmark runs, that what it reports is what it says, and that it leaves nothing behind. Never how fast anything is. */
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { GROUPS, type Report, type Result } from 'leasehold/bench';
import { describe, expect, it } from 'vitest';
import { command, LEASEHOLD, leasehold } from '../support/processes.ts';
import { tempDir } from '../support/temp-dir.ts';

const MAIN = fileURLToPath(new URL('main.ts', import.meta.url));
const PAYLOADS = [8, 4_096, 1_048_576, 8_294_400, 33_177_600];

const idsOf = ({ results }: Report): string[] => results.map(({ id }) => id);
const ofEveryPayload = (way: string): string[] => PAYLOADS.map((bytes) => `hand-off/${way}/${bytes}`);

/** What a test of goals, a chart and a comparison with older runs rely on. */
const STABLE_IDS = [
  ...['spin/persistent', 'spin/fenced', 'adaptive/fenced', 'yield/fenced', 'park/fenced', 'park-sync/fenced'].flatMap(
    (way) => ofEveryPayload(`leasehold/${way}`),
  ),
  ...['net/event-loop', 'fifo/park', 'grpc/event-loop', 'post-message/event-loop', 'post-message/spin'].flatMap(
    ofEveryPayload,
  ),
  'hand-off/atomics/spin/8',
  'hand-off/doorbell/event-loop/8',
  'hand-off/net/event-loop/64',
  'throughput/leasehold/persistent/64',
  'throughput/leasehold/persistent-batched/64',
  'throughput/leasehold/written-and-read/8294400',
  'throughput/own-memory/written-and-read/8294400',
  'memcpy/memory/8294400',
  ...[1, 2, 4, 8, 16].map((subscribers) => `fan-out/leasehold/park/${subscribers}/4096`),
  ...[1, 16, 64, 256].flatMap((count) => [`channels/leasehold/${count}`, `channels/leasehold/idle-cpu/${count}`]),
  'leases/leasehold/try-shared',
  'leases/leasehold/hand-over',
  'leases/leasehold/death',
  ...[1, 16, 64].flatMap((inFlight) => [
    `control-plane/leasehold/AcquireLease+ReleaseLease/${inFlight}`,
    `control-plane/leasehold/CreateMapping/${inFlight}`,
    `control-plane/grpc-js/one-call/${inFlight}`,
    `control-plane/grpc-js/two-calls/${inFlight}`,
  ]),
  'scale/leasehold/GetMapping/empty',
  'scale/leasehold/GetMapping/full',
  'scale/leasehold/heap-per-session',
  'scale/leasehold/rss-per-mapping',
  'idle/broker/cpu',
];

function checkResult({ id, group, who, unit, value, distribution }: Result): void {
  expect(id.startsWith(`${group}/${who}/`), id).toBe(true);
  expect(GROUPS, id).toContain(group);
  expect(
    [value, distribution].filter((figure) => figure !== undefined),
    id,
  ).toHaveLength(1);
  if (value !== undefined) expect(value, id).toBeGreaterThanOrEqual(0);
  if (distribution === undefined) return;
  const { n, p50, p99, p999, max } = distribution;
  expect(unit, id).toBe('ns');
  expect(n, id).toBeGreaterThan(0);
  expect(p50, id).toBeGreaterThan(0);
  expect([p50, p99, p999, max], id).toEqual([p50, p99, p999, max].toSorted((left, right) => left - right));
}

/** The directories of runs. */
const leftBehind = (directory: string): string[] => readdirSync(directory);

describe('npm run bench', () => {
  it('measures every group in one run, and writes the figures as JSON and as tables', async () => {
    const file = join(tempDir(), 'bench.json');
    const temporary = tempDir();
    const env = { ...process.env, TMPDIR: temporary };
    const { code, stdout, stderr } = await command(process.execPath, [MAIN, '--quick', '--json', file], { env }).ended;
    expect(code, stderr).toBe(0);
    const report = JSON.parse(readFileSync(file, 'utf8')) as Report;
    expect(report).toMatchObject({ format: 1, quick: true, rounds: 1 });
    for (const result of report.results) checkResult(result);
    const ids = idsOf(report);
    expect(new Set(ids).size).toBe(ids.length);
    expect(ids).toEqual(expect.arrayContaining(STABLE_IDS));
    for (const { id, group } of report.results) expect(stdout.toString()).toContain(id.slice(group.length + 1));
    expect(stdout.toString()).toContain(report.machine.cpuModel);
    expect(leftBehind(temporary)).toEqual([]);
  });

  it('lays a run beside an earlier one', async () => {
    const file = join(tempDir(), 'earlier.json');
    const first = await leasehold(['bench', '--quick', '--only', 'leases', '--json', file]).ended;
    expect(first.code, first.stderr).toBe(0);
    const second = await leasehold(['bench', '--quick', '--only', 'leases', '--compare', file]).ended;
    expect(second.code, second.stderr).toBe(0);
    expect(second.stdout.toString()).toMatch(/NOW\/BEFORE(.|\n)*leases\/leasehold\/try-shared/);
    const args = ['bench', '--quick', '--only', 'leases/leasehold/death', '--compare', file];
    const part = await leasehold(args).ended;
    expect(part.stdout.toString()).toMatch(/leases\/leasehold\/death/);
    expect(part.stdout.toString()).not.toContain('only in the earlier run');
  });

  it.each([
    ['an option that there is not', ['--fast'], /--fast/],
    ['a group that there is not', ['--only', 'hand-off,memory'], /--only: "memory" is not one of hand-off/],
    [
      'a file that cannot be written',
      ['--json', '/nowhere/bench.json'],
      /--json: \/nowhere\/bench.json cannot be written/,
    ],
    ['a file that cannot be read', ['--compare', '/nowhere/bench.json'], /--compare: \/nowhere\/bench.json/],
    ['documents made of a quick run', ['--quick', '--docs'], /leave --quick and --only out/],
  ])('refuses %s, before anything is measured', async (_, args, why) => {
    const { code, stdout, stderr } = await command(process.execPath, [MAIN, ...args]).ended;
    expect({ code, stdout: stdout.toString(), stderr }).toEqual({
      code: 2,
      stdout: '',
      stderr: expect.stringMatching(why),
    });
  });

  it('refuses to be compared with what is no report', async () => {
    const file = join(tempDir(), 'other.json');
    writeFileSync(file, '{"format": 0}');
    const { code, stderr } = await leasehold(['bench', '--compare', file]).ended;
    expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringContaining('has format 0, not 1') });
  });

  it('ends everything that it started when it is interrupted, and says so', async () => {
    const temporary = tempDir();
    const file = join(tempDir(), 'never.json');
    const running = leasehold(['bench', '--quick', '--only', 'hand-off', '--json', file], {
      env: { ...process.env, TMPDIR: temporary },
    });
    const { stderr } = running.child;
    let said = '';
    while (!said.includes('round')) said += String((await once(stderr as NonNullable<typeof stderr>, 'data'))[0]);
    const children = childrenOf(running.pid);
    expect(children.length).toBeGreaterThan(2);
    running.child.kill('SIGINT');
    const { code } = await running.ended;
    expect({ code, stderr: running.stderr() }).toEqual({
      code: 130,
      stderr: expect.stringMatching(/ended \d+ processes/),
    });
    expect(children.filter(isAlive)).toEqual([]);
    expect(leftBehind(temporary)).toEqual([]);
    expect(existsSync(file)).toBe(false);
  });
});

describe('leasehold', () => {
  it('loads the benchmark only when it is asked for', async () => {
    const script = `
      import { registerHooks } from 'node:module';
      registerHooks({
        load(url, context, next) {
          if (url.includes('/dist/bench/')) process.stderr.write(url + '\\n');
          return next(url, context);
        },
      });
      process.argv = [process.execPath, 'leasehold', ...process.argv.slice(1)];
      await import('${LEASEHOLD}');
    `;
    const load = (...args: string[]) => command(process.execPath, ['--input-type=module', '-e', script, ...args]).ended;
    const refused = await load('bench', '--only', 'nothing');
    expect(refused.stderr).toContain('/dist/bench/bench-command.js');
    const listed = await load('--', '--help');
    expect(listed).toMatchObject({ code: 0, stderr: '' });
    expect(listed.stdout.toString()).toContain('bench');
  });
});

const childrenOf = (pid: number): number[] =>
  readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').map(Number);

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
