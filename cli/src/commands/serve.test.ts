import { type ChildProcess, execFileSync, type StdioOptions, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  constants,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const main = new URL('../main.ts', import.meta.url).pathname;

let parent: string;
let runtimeDir: string;
const children: ChildProcess[] = [];
const opened: number[] = [];

beforeEach(() => {
  parent = mkdtempSync(join(tmpdir(), 'lh-'));
  runtimeDir = join(parent, 'run');
});
afterEach(() => {
  for (const fd of opened.splice(0)) closeSync(fd);
  for (const child of children.splice(0)) child.kill('SIGKILL');
  rmSync(parent, { recursive: true, force: true });
});

interface Serving {
  readonly child: ChildProcess;
  readonly printed: { out: string; err: string };
  readonly exited: Promise<number | null>;
}
const serve = (...options: string[]): Serving => serveInto(['pipe', 'pipe', 'pipe'], ...options);
const serveInto = (stdio: StdioOptions, ...options: string[]): Serving => {
  const where = ['--runtime-dir', runtimeDir, '--state-dir', join(parent, 'state')];
  const node = ['--conditions=leasehold-source', '--no-warnings', main];
  const child = spawn(process.execPath, [...node, 'serve', ...where, '--http', 'off', ...options], { stdio });
  children.push(child);
  const printed = { out: '', err: '' };
  child.stdout?.on('data', (chunk: Buffer) => {
    printed.out += chunk.toString();
  });
  child.stderr?.on('data', (chunk: Buffer) => {
    printed.err += chunk.toString();
  });
  return { child, printed, exited: once(child, 'close').then(([code]) => code) };
};
const serving = (...options: string[]): Promise<Serving> => up(serve(...options));
const up = async (started: Serving): Promise<Serving> => {
  if (started.child.stdout !== null) await Promise.race([once(started.child.stdout, 'data'), started.exited]);
  expect(started.printed).toMatchObject({ out: `leasehold: serving ${runtimeDir}\n` });
  return started;
};

describe('leasehold serve', () => {
  it.each(['SIGTERM', 'SIGINT', 'SIGHUP'] as const)('drains at %s, exits 0, and leaves no sockets', async (signal) => {
    const { child, printed, exited } = await serving();
    expect(existsSync(join(runtimeDir, 'control.sock'))).toBe(true);
    child.kill(signal);
    expect(await exited).toBe(0);
    expect(existsSync(runtimeDir)).toBe(false);
    const log = printed.err
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(log.map(({ msg }) => msg)).toEqual(expect.arrayContaining(['ready', 'stopped']));
    expect(log.find(({ msg }) => msg === 'ready')).toMatchObject({ runtimeDir, pid: child.pid, epoch: 1 });
  });

  it('refuses a directory that another broker serves, and the other goes on', async () => {
    const first = await serving();
    const second = serve();
    expect(await second.exited).toBe(1);
    expect(second.printed.err).toBe(
      `leasehold: a broker (pid ${first.child.pid}) already serves ${runtimeDir}; stop it, or choose another directory with --runtime-dir\n`,
    );
    first.child.kill('SIGTERM');
    expect(await first.exited).toBe(0);
  });

  it('takes over from a broker that was killed, with the next epoch', async () => {
    const first = await serving();
    first.child.kill('SIGKILL');
    await first.exited;
    expect(existsSync(join(runtimeDir, 'control.sock'))).toBe(true);
    const second = await serving();
    expect(second.printed.err).toContain('"epoch":2');
  });

  it('does not start, leaves nothing behind and uses up no epoch, when the HTTP port is taken or the epoch is damaged', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    const address = `127.0.0.1:${(other.address() as { port: number }).port}`;
    const taken = serve('--http', address);
    expect(await taken.exited).toBe(1);
    expect(taken.printed.err).toContain(
      `cannot serve HTTP on ${address}: the port is taken; choose another address with --http`,
    );
    expect(existsSync(runtimeDir)).toBe(false);
    expect(existsSync(join(parent, 'state'))).toBe(false);
    other.close();

    mkdirSync(join(parent, 'state'), { recursive: true });
    writeFileSync(join(parent, 'state/epoch'), 'garbage');
    const damaged = serve();
    expect(await damaged.exited).toBe(1);
    expect(damaged.printed.err).toContain(`${join(parent, 'state/epoch')} does not hold an epoch`);
    expect(existsSync(runtimeDir)).toBe(false);
  });
});

describe('a broker whose output nobody takes', () => {
  it('serves and drains although the disk of its log is full', async () => {
    const full = openSync('/dev/full', constants.O_WRONLY);
    const { child, exited } = await up(serveInto(['ignore', 'pipe', full], '--log-level', 'trace'));
    closeSync(full);
    child.kill('SIGTERM');
    expect(await exited).toBe(0);
    expect(existsSync(runtimeDir)).toBe(false);
  });

  it('serves, drains and ends when its log goes to a pipe that is full and nobody reads', async () => {
    const { child, exited } = await up(serveInto(['ignore', 'pipe', fullPipe()], '--log-level', 'trace'));
    child.kill('SIGTERM');
    expect(await exited).toBe(0);
    expect(existsSync(runtimeDir)).toBe(false);
  });

  it('drains, tidies up and ends with 1 when it cannot say that it serves', async () => {
    const full = openSync('/dev/full', constants.O_WRONLY);
    const { printed, exited } = serveInto(['ignore', full, 'pipe']);
    closeSync(full);
    expect(await exited).toBe(1);
    expect(printed.err).toContain('leasehold: cannot write the output: ENOSPC');
    expect(printed.err).toContain('"msg":"stopped"');
    expect(existsSync(runtimeDir)).toBe(false);
  });
});

/** The writing end of a pipe that is full; nobody reads it, and nobody closes its other end before the test is over. */
function fullPipe(): number {
  const path = join(parent, 'full');
  execFileSync('mkfifo', [path]);
  const fd = openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
  const chunk = Buffer.alloc(4_096);
  for (;;) {
    try {
      writeSync(fd, chunk);
    } catch {
      break;
    }
  }
  const blocking = openSync(path, constants.O_WRONLY);
  opened.push(fd, blocking);
  return blocking;
}
