import { describe, expect, it } from 'vitest';
import { runProgram } from './program.ts';
import { fakeContext } from './testing/fake-context.ts';

const run = async (args: string[], env: Record<string, string> = {}) => {
  const context = fakeContext({ env: { HOME: '/home/u', ...env } });
  return { exitCode: await runProgram(args, context), ...context.printed };
};

describe('the leasehold command', () => {
  it('prints its version and its help on stdout', async () => {
    expect(await run(['--version'])).toMatchObject({
      exitCode: 0,
      out: expect.stringMatching(/^\d+\.\d+\.\d+\n$/),
      err: '',
    });
    const help = await run(['--help']);
    expect(help).toMatchObject({ exitCode: 0, err: '' });
    expect(help.out).toContain('Examples:');
  });

  it('suggests what was meant, with exit code 2', async () => {
    const command = await run(['serv']);
    expect(command).toMatchObject({ exitCode: 2, out: '' });
    expect(command.err).toMatch(/^leasehold: unknown command 'serv'\n\(Did you mean serve\?\)/);
    const option = await run(['serve', '--drian-ms', '1']);
    expect(option).toMatchObject({ exitCode: 2, out: '' });
    expect(option.err).toMatch(/^leasehold: unknown option '--drian-ms'\n\(Did you mean --drain-ms\?\)/);
  });

  it('shows its help on stderr and fails when no command is given', async () => {
    expect(await run([])).toMatchObject({ exitCode: 2, out: '', err: expect.stringContaining('Usage: leasehold') });
  });

  it('refuses arguments that a command does not take', async () => {
    expect(await run(['health', 'extra'])).toMatchObject({ exitCode: 2 });
  });

  it('takes --runtime-dir before and after the command', async () => {
    for (const args of [
      ['--runtime-dir', '/tmp/d', 'serve', '--print-config', '--format', 'json'],
      ['serve', '--print-config', '--format', 'json', '--runtime-dir', '/tmp/d'],
    ]) {
      const { out, exitCode } = await run(args);
      expect(exitCode).toBe(0);
      expect(JSON.parse(out).runtimeDir).toEqual({ value: '/tmp/d', origin: '--runtime-dir' });
    }
  });

  it('shows the settings of serve and where each is from', async () => {
    const { out } = await run(['serve', '--print-config', '--http', '[::1]:80'], { LEASEHOLD_LOG_LEVEL: 'debug' });
    expect(out).toMatch(/^http +::1:80 +--http$/m);
    expect(out).toMatch(/^logLevel +debug +LEASEHOLD_LOG_LEVEL$/m);
    expect(out).toMatch(/^stateDir +\/home\/u\/\.local\/state\/leasehold +HOME$/m);
  });
});
