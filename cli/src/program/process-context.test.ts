import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, expect, it } from 'vitest';

const contextModule = new URL('./process-context.ts', import.meta.url).href;

/** A process with the real context, which says `up` and then runs `body`. */
const start = (body: string): ChildProcessWithoutNullStreams => {
  const script = `import { processContext } from ${JSON.stringify(contextModule)};
    const context = processContext();
    ${body}
    console.log('up');`;
  const args = ['--conditions=leasehold-source', '--no-warnings', '--input-type=module', '--eval', script];
  return spawn(process.execPath, args);
};
const firstLine = (child: ChildProcessWithoutNullStreams) => once(child.stdout, 'data');
const exitCode = async (child: ChildProcessWithoutNullStreams): Promise<number | null> => {
  const [code] = await once(child, 'exit');
  return code;
};
const errorsOf = (child: ChildProcessWithoutNullStreams) => {
  const errors = { text: '' };
  child.stderr.on('data', (chunk: Buffer) => {
    errors.text += chunk.toString();
  });
  return errors;
};

const STAY = 'setInterval(() => undefined, 1 << 30);';

describe('processContext', () => {
  it('aborts the signal at the first SIGINT, and ends the process at the second signal', async () => {
    for (const [second, code] of [
      ['SIGINT', 130],
      ['SIGTERM', 143],
      ['SIGHUP', 129],
    ] as const) {
      const child = start(
        `${STAY} context.signal.addEventListener('abort', () => console.log(context.signal.reason.signalName));`,
      );
      await firstLine(child);
      child.kill('SIGINT');
      expect(String(await firstLine(child))).toBe('SIGINT\n');
      const exited = exitCode(child);
      child.kill(second);
      expect(await exited).toBe(code);
    }
  });

  it('hands signals on to the command that takes them, as often as they come, until it gives them back', async () => {
    const child = start(
      `${STAY} const giveBack = context.takeSignals((name) => { if (name === 'SIGUSR2') giveBack(); console.log(name); });`,
    );
    await firstLine(child);
    for (const signalName of ['SIGINT', 'SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2'] as const) {
      child.kill(signalName);
      expect(String(await firstLine(child))).toBe(`${signalName}\n`);
    }
    const exited = once(child, 'exit');
    child.kill('SIGUSR2');
    expect(await exited).toEqual([null, 'SIGUSR2']);
  });

  it('aborts the signal when the reader of stdout goes away', async () => {
    const child = start(`
      const more = setInterval(() => process.stdout.write('more'), 1);
      context.signal.addEventListener('abort', () => { clearInterval(more); process.exitCode = context.signal.reason.name === 'OutputClosedError' ? 0 : 1; });
    `);
    const errors = errorsOf(child);
    const exited = exitCode(child);
    await firstLine(child);
    child.stdout.destroy();
    expect(await exited).toBe(0);
    expect(errors.text).toBe('');
  });

  it('ends with 1 and says why when an error is caught by nobody', async () => {
    const child = start(`setImmediate(() => Promise.reject(new Error('boom')));`);
    const errors = errorsOf(child);
    expect(await exitCode(child)).toBe(1);
    expect(errors.text).toMatch(/^leasehold: internal error: Error: boom/);
  });

  it('lets a command say its own last words, even if they fail', async () => {
    const body = `context.onFatal((error) => { console.error('last words about', error.message); throw new Error('again'); });`;
    const child = start(`${body} setImmediate(() => { throw new Error('boom'); });`);
    const errors = errorsOf(child);
    expect(await exitCode(child)).toBe(1);
    expect(errors.text).toBe('last words about boom\n');
  });
});
