// `leasehold demo` as a user runs it: what it prints, and that nothing is left however it ends.
import { spawnSync } from 'node:child_process';
import { chmodSync, readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { leasehold, type RunningProcess } from '../support/processes.ts';
import { tempDir } from '../support/temp-dir.ts';
import { outcomeOf, STRANGER, until } from './run.ts';

const strangerCanRun = process.getuid?.() === 0 && spawnSync(process.execPath, ['-e', ''], STRANGER).status === 0;
const FRAME_BYTES = 1_920 * 1_080 * 4;

interface DemoRun {
  readonly running: RunningProcess;
  /** The temporary directory that the demo was given. */
  readonly directory: string;
}

function startDemo(args: readonly string[], as: { uid?: number; gid?: number } = {}): DemoRun {
  const directory = tempDir();
  chmodSync(directory, 0o777);
  const env = { ...process.env, HOME: directory, TMPDIR: directory };
  return { running: leasehold(['demo', ...args], { env, ...as }), directory };
}

/** Processes that were told of that directory, which all of a demo's are. */
function processesOf(directory: string): string[] {
  return readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry))
    .map((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
      } catch {
        return '';
      }
    })
    .filter((commandLine) => commandLine.includes(directory));
}

function expectNothingLeft(directory: string): void {
  expect(processesOf(directory)).toEqual([]);
  expect(readdirSync(directory)).toEqual([]);
}

const latencyUs = { p50: expect.any(Number), p99: expect.any(Number) };

const subscriber = (name: string) => ({
  name,
  frames: expect.any(Number),
  lost: expect.any(Number),
  skipped: expect.any(Number),
  mismatched: 0,
  latencyUs,
  finding: expect.stringMatching(/./),
});

describe('leasehold demo', () => {
  it('prints one object of the documented shape, silently, and leaves nothing', async () => {
    const { running, directory } = startDemo(['--seconds', '2', '--format', 'json']);
    const { code, out, err } = await outcomeOf(running);
    expect({ code, err }).toEqual({ code: 0, err: '' });
    const report = JSON.parse(out);
    expect(report).toEqual({
      frames: expect.any(Number),
      fps: expect.any(Number),
      format: { fourcc: 'RGBA', width: 1_920, height: 1_080 },
      publisher: { frames: report.frames, dropped: expect.any(Number), fps: report.fps },
      subscribers: ['histogram', 'motion', 'thumbnail'].map(subscriber),
      pages: { granted: expect.stringMatching(/^(base|transparent-2m|hugetlb-2m)$/), reason: report.pages.reason },
      bytesShared: expect.any(Number),
      bytesCopied: 0,
    });
    expect(report.pages.reason === null).toBe(report.pages.granted === 'hugetlb-2m');
    const { frames, publisher, subscribers } = report;
    expect(frames + publisher.dropped).toBe(120);
    expect(frames).toBeGreaterThan(0);
    let taken = 0;
    for (const row of subscribers) {
      expect(row.frames).toBeGreaterThan(0);
      expect(row.frames + row.lost + row.skipped).toBeLessThanOrEqual(frames);
      taken += row.frames;
    }
    expect(report.bytesShared).toBe(taken * FRAME_BYTES);
    expectNothingLeft(directory);
  });

  it.skipIf(!strangerCanRun)(
    'runs as an ordinary user, with a table for people (skipped: needs root, and a checkout others can read)',
    async () => {
      const { running, directory } = startDemo(['--seconds', '1'], STRANGER);
      const { code, out, err } = await outcomeOf(running);
      expect({ code, err }).toEqual({ code: 0, err: '' });
      expect(out).toMatch(/^PROCESS +FRAMES +FRAMES\/S +LOST +SKIPPED +P50 µs +P99 µs +WORK\n/);
      for (const name of ['camera', 'histogram', 'motion', 'thumbnail'])
        expect(out).toMatch(new RegExp(`^${name} +\\d+ `, 'm'));
      expect(out).toContain('Bytes copied by us: 0, by construction.');
      expectNothingLeft(directory);
    },
  );

  it.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)('ended by %s in mid-run exits with %i, and leaves nothing', async (signal, expected) => {
    const { running, directory } = startDemo(['--seconds', '600', '--format', 'json']);
    // The demo, its broker, a camera and three subscribers; the demo itself was told through its environment.
    await until(() => processesOf(directory).length === 5);
    running.child.kill(signal);
    expect(await outcomeOf(running)).toEqual({ code: expected, out: '', err: '' });
    expectNothingLeft(directory);
  });

  it('killed outright takes its processes with it', async () => {
    const { running, directory } = startDemo(['--seconds', '600']);
    await until(() => processesOf(directory).length === 5);
    running.child.kill('SIGKILL');
    expect((await running.ended).signal).toBe('SIGKILL');
    await until(() => processesOf(directory).length === 0);
  });

  it('refuses a runtime directory, which it has of its own: 2', async () => {
    const { running } = startDemo(['--runtime-dir', '/tmp/elsewhere']);
    expect(await outcomeOf(running)).toMatchObject({ code: 2, err: expect.stringContaining('--runtime-dir') });
  });
});
