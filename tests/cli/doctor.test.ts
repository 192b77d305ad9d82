// `leasehold doctor` on this machine: with a broker and without, for root and for others, as a screen and as JSON.
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { startBroker } from '../support/broker-process.ts';
import { command, LEASEHOLD, leasehold } from '../support/processes.ts';
import { tempDir } from '../support/temp-dir.ts';
import { outcomeOf, run, STRANGER } from './run.ts';

interface Report {
  readonly verdict: string;
  readonly checks: readonly {
    readonly name: string;
    readonly verdict: string;
    readonly found: string;
    readonly mend: string | null;
  }[];
}

const NAMES = [
  'kernel',
  'memory',
  'huge-pages-2m',
  'huge-pages-1g',
  'transparent-pages',
  'locked-memory',
  'open-files',
  'broker',
];
const nowhere = () => ({ ...process.env, LEASEHOLD_RUNTIME_DIR: join(tempDir(), 'run') });
const reportOf = (out: string) => JSON.parse(out) as Report;
const checkOf = (report: Report, name: string) => report.checks.find((check) => check.name === name);

describe('leasehold doctor', () => {
  it('works without a broker: that is something to look at, and no failure', async () => {
    const env = nowhere();
    const { code, out, err } = await run(env, ['doctor', '--format', 'json']);
    expect([code, err]).toEqual([0, '']);
    const report = reportOf(out);
    expect(report.verdict).toBe('warn');
    expect(report.checks.map(({ name }) => name)).toEqual(NAMES);
    expect(checkOf(report, 'broker')).toEqual({
      name: 'broker',
      verdict: 'warn',
      found: 'none answers',
      mend: 'leasehold serve',
    });
    const screen = await run(env, ['doctor']);
    expect(screen).toMatchObject({ code: 0, err: '' });
    expect(screen.out).toMatch(/^ok {4}kernel +Linux /m);
    expect(screen.out).toMatch(/^warn {2}broker +none answers\n +→ leasehold serve$/m);
    expect(screen.out).toMatch(/^\d ok, \d to look at, 0 failing\n$/m);
  });

  it('says who answers, and looks at the limits of that process', async () => {
    const broker = await startBroker();
    const report = reportOf(
      (await run(process.env, ['doctor', '--runtime-dir', broker.runtimeDir, '--format', 'json'])).out,
    );
    expect(checkOf(report, 'broker')).toMatchObject({ verdict: 'ok', mend: null });
    expect(checkOf(report, 'broker')?.found).toContain(
      `pid ${broker.pid}, uid ${process.getuid?.()}, in ${broker.runtimeDir}`,
    );
    expect(checkOf(report, 'open-files')?.found).toContain(`(broker, pid ${broker.pid})`);
  });

  it('fails with 1 when nobody could serve like that', async () => {
    const script = `ulimit -n 200; exec "${process.execPath}" "${LEASEHOLD}" doctor --format json`;
    const { code, out } = await outcomeOf(command('sh', ['-c', script], { env: nowhere() }));
    expect(code).toBe(1);
    expect(reportOf(out).verdict).toBe('fail');
    expect(checkOf(reportOf(out), 'open-files')).toMatchObject({
      verdict: 'fail',
      found: 'RLIMIT_NOFILE is 200 (here): too few for a broker',
      mend: expect.stringContaining('ulimit -n 65536'),
    });
  });

  const isRoot = process.getuid?.() === 0;
  it.skipIf(!isRoot)('answers another user too, who may not ask the broker (skipped without root)', async () => {
    const broker = await startBroker();
    const args = ['doctor', '--runtime-dir', broker.runtimeDir, '--format', 'json'];
    const { code, out } = await outcomeOf(leasehold(args, STRANGER));
    expect(code).toBe(0);
    expect(checkOf(reportOf(out), 'broker')).toMatchObject({
      verdict: 'warn',
      found: expect.stringContaining(`uid ${STRANGER.uid} may not connect`),
      mend: 'run leasehold doctor as the user who runs the broker',
    });
    expect(checkOf(reportOf(out), 'locked-memory')?.found).not.toContain('CAP_IPC_LOCK');
  });
});
