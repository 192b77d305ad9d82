// `lease`: a command that runs while a lock is held.
import { describe, expect, it } from 'vitest';
import { startBroker } from '../support/broker-process.ts';
import { leasehold } from '../support/processes.ts';
import { holding, LONG_MS, leaseBroker } from './lessees.ts';
import { onTerminal, terminalEnv } from './on-terminal.ts';
import { outcomeOf, run, said, until } from './run.ts';

const { env, mapping, hold, next, listed } = leaseBroker();

describe('lease', () => {
  it('runs the command with a token that rises, and ends as it does', async () => {
    await mapping('job');
    const tokens: bigint[] = [];
    for (const code of [0, 3]) {
      const script = `echo "$LEASEHOLD_FENCING_TOKEN"; exit ${code}`;
      const outcome = await run(env, ['lease', 'job', '--', 'sh', '-c', script]);
      expect(outcome).toMatchObject({ code, err: '' });
      tokens.push(BigInt(outcome.out.trim()));
    }
    expect(tokens[1]).toBeGreaterThan(tokens[0] ?? 0n);
  });

  it('hands its stdin to the command, and leaves all that comes after -- to it', async () => {
    await mapping('job');
    const echo = ['sh', '-c', 'printf "%s;" "$@"', 'sh'];
    const words = ['-x', '--mode', 'none', '--', '--help'];
    expect(await run(env, ['lease', 'job', '--', ...echo, ...words])).toMatchObject({ out: `${words.join(';')};` });
    expect(await run(env, ['lease', 'job', '--', 'cat'], Buffer.from('in\n'))).toEqual({
      code: 0,
      out: 'in\n',
      err: '',
    });
  });

  it('of a name that is not there is 5, unless it may create it: then it stays', async () => {
    expect(await run(env, ['lease', 'made', '--', 'true'])).toMatchObject({ code: 5, out: '' });
    expect(await run(env, ['lease', 'made', '--create', '1', '--', 'true'])).toMatchObject({ code: 0, err: '' });
    expect(await run(env, ['lease', 'made', '--create', '4KiB', '--', 'true'])).toMatchObject({ code: 0, err: '' });
    expect(await run(env, ['rm', 'made'])).toMatchObject({ code: 0 });
  });

  it('that cannot be had in time is 6, and says who has it', async () => {
    await mapping('job');
    const holder = await hold('job');
    for (const waitMs of ['0', '50']) {
      const outcome = await run(env, ['lease', 'job', '--wait-ms', waitMs, '--', 'echo', 'ran']);
      expect(outcome).toMatchObject({ code: 6, out: '' });
      expect(outcome.err).toContain('hint: `leasehold leases`');
    }
    holder.child.stdin?.end();
    expect(await outcomeOf(holder)).toMatchObject({ code: 0, err: '' });
    expect(await next('job')).toBe('0');
  });

  it('is shared by readers, and not with a writer', async () => {
    await mapping('job');
    const readers = [await hold('job', ['--mode', 'shared']), await hold('job', ['--mode', 'shared'])];
    expect(await run(env, ['lease', 'job', '--wait-ms', '0', '--', 'true'])).toMatchObject({ code: 6 });
    const writing = next('job');
    for (const { child } of readers) child.stdin?.end();
    expect(await writing).toBe('0');
  });

  it('that is revoked ends the command with SIGTERM, says why, and is 1', async () => {
    await mapping('job');
    const holder = await hold('job');
    const { holders } = await listed('job');
    expect(await run(env, ['revoke', 'job', holders[0]?.holdId ?? ''])).toEqual({ code: 0, out: '', err: '' });
    const { code, out, err } = await outcomeOf(holder);
    expect({ code, out }).toEqual({ code: 1, out: `held ${holder.childPid}\nSIGTERM\n` });
    expect(err).toMatch(/^leasehold: .*revoked.*; the command is told to end\n$/);
    expect(await next('job')).toBe('1');
  });

  it.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)(
    'hands %s on, and the lease is free when the command has ended',
    async (signal) => {
      await mapping('job');
      const holder = await hold('job', [], signal);
      holder.child.kill(signal);
      expect(await outcomeOf(holder)).toEqual({ code: 9, out: `held ${holder.childPid}\n${signal}\n`, err: '' });
      expect(await next('job')).toBe('0');
    },
  );

  it('on a terminal gives Ctrl-C to the command once, and lives on as long as it does', async () => {
    await mapping('job');
    const script = `process.on("SIGINT", () => console.log("interrupted"));
      process.on("SIGUSR2", () => process.exit(5)); process.stdin.resume(); console.log("held under " + process.ppid)`;
    const holder = onTerminal(terminalEnv(env), ['lease', 'job', '--', process.execPath, '-e', script]);
    const [, pid] = /held under (\d+)/.exec(await said(holder, /held under \d+\r/)) ?? [];
    holder.child.stdin?.write('\u0003');
    await said(holder, /interrupted/);
    // Handed on after whatever was handed on before it.
    process.kill(Number(pid), 'SIGUSR2');
    const { code, out } = await outcomeOf(holder);
    expect(code).toBe(5);
    expect(out.match(/interrupted/g)).toHaveLength(1);
  });

  it('ends with 130 when it is interrupted while it waits, and leaves the queue', async () => {
    await mapping('job');
    const holder = await hold('job');
    const waiter = leasehold(['lease', 'job', '--wait-ms', LONG_MS, '--', 'echo', 'ran'], { env });
    await until(async () => (await listed('job')).waiters.length === 1);
    waiter.child.kill('SIGINT');
    expect(await outcomeOf(waiter)).toEqual({ code: 130, out: '', err: '' });
    expect((await listed('job')).waiters).toEqual([]);
    holder.child.stdin?.end();
  });

  it('whose command is killed leaves the data in doubt, until a command ends well with --mark-clean', async () => {
    await mapping('job');
    const holder = await hold('job');
    process.kill(holder.childPid, 'SIGKILL');
    expect(await outcomeOf(holder)).toMatchObject({ code: 137, err: '' });
    expect(await next('job', ['--mode', 'shared'])).toBe('1');
    expect(await run(env, ['lease', 'job', '--mark-clean', '--', 'false'])).toMatchObject({ code: 1 });
    expect(await next('job', ['--mark-clean'])).toBe('1');
    expect(await next('job')).toBe('0');
  });

  it('goes to the next in the queue when leasehold is killed, who is told', async () => {
    await mapping('job');
    const holder = await hold('job', ['--ttl-ms', '60000']);
    const waiting = next('job');
    await until(async () => (await listed('job')).waiters.length === 1);
    holder.child.kill('SIGKILL');
    expect(await waiting).toBe('1');
  });

  it('lasts as long as its time when the broker is killed, and then ends the command', async () => {
    const own = await startBroker();
    const command = [process.execPath, '-e', holding('SIGTERM')];
    const holder = leasehold(['lease', 'job', '--create', '1', '--ttl-ms', '100', '--', ...command], { env: own.env });
    await said(holder, /held/);
    own.child.kill('SIGKILL');
    const { code, out, err } = await outcomeOf(holder);
    expect({ code, out: out.split('\n')[1] }).toEqual({ code: 1, out: 'SIGTERM' });
    expect(err).toMatch(/^leasehold: .*no broker to renew it with.*; the command is told to end\n/);
  });

  it('ends with 127 for a command that is not there, and gives the lease back', async () => {
    await mapping('job');
    const outcome = await run(env, ['lease', 'job', '--', '/nowhere/at-all']);
    expect(outcome).toMatchObject({ code: 127, out: '', err: expect.stringContaining('/nowhere/at-all') });
    expect(await next('job')).toBe('0');
  });
});
