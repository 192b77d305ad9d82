import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it, onTestFinished } from 'vitest';
import { runChild } from './child-command.ts';
import { fakeContext } from './testing/fake-context.ts';

const ASK_AGAIN_MS = 10;
const node = (script: string, ...args: string[]) => [process.execPath, '-e', script, ...args];
const run = (words: readonly string[], env: Record<string, string> = {}) => {
  const context = fakeContext({ env: { FROM: 'context' } });
  return { context, ended: runChild(context, { words, env }) };
};

describe('a command run for another', () => {
  it('hands on how it ended, as a shell does', async () => {
    expect(await run(node('process.exit(7)')).ended).toEqual({ exitCode: 7, killedBy: null });
    expect(await run(node('process.kill(process.pid, "SIGKILL")')).ended).toEqual({
      exitCode: 137,
      killedBy: 'SIGKILL',
    });
  });

  it('has our environment and what was added to it', async () => {
    const script = `process.exit(process.env.FROM === 'context' && process.env.MORE === 'yes' ? 3 : 1)`;
    expect((await run(node(script), { MORE: 'yes' }).ended).exitCode).toBe(3);
  });

  it('ends with 127 when there is no such command, and 126 when it cannot be run', async () => {
    const missing = run(['/nowhere/at-all']);
    expect((await missing.ended).exitCode).toBe(127);
    expect(missing.context.printed.err).toBe('leasehold: cannot run "/nowhere/at-all": there is no such command\n');
    const directory = mkdtempSync('/tmp/lh-child-');
    onTestFinished(() => rmSync(directory, { recursive: true }));
    const file = join(directory, 'data');
    writeFileSync(file, 'no program', { mode: 0o644 });
    expect((await run([file]).ended).exitCode).toBe(126);
    expect((await run(['']).ended).exitCode).toBe(126);
  });

  it('gets the signals that we get, and no others', async () => {
    const directory = mkdtempSync('/tmp/lh-child-');
    onTestFinished(() => rmSync(directory, { recursive: true }));
    const ready = join(directory, 'ready');
    const script = `process.on('SIGUSR2', () => process.exit(9)); setInterval(() => 0, 1e6);
      require('node:fs').mkdirSync(process.argv[1]);`;
    const { context, ended } = run(node(script, ready));
    await thereIs(ready);
    context.send('SIGUSR2');
    expect(await ended).toEqual({ exitCode: 9, killedBy: null });
  });

  it('is told to end when it has to stop, even before it runs', async () => {
    const context = fakeContext();
    const stay = node('setInterval(() => 0, 1e6)');
    const stop = new AbortController();
    const ended = runChild(context, { words: stay, env: {}, stop: stop.signal });
    stop.abort();
    expect(await ended).toEqual({ exitCode: 143, killedBy: 'SIGTERM' });
    expect(await runChild(context, { words: stay, env: {}, stop: AbortSignal.abort() })).toMatchObject({
      exitCode: 143,
    });
  });
});

/** The test's own timeout bounds it. */
async function thereIs(path: string): Promise<void> {
  while (!existsSync(path)) await delay(ASK_AGAIN_MS);
}
