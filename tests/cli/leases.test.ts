// `leases`, `revoke`, `mark-clean`: what an operator sees of locks, and does; and what is wrong usage of all that has to do with them.
import { describe, expect, it } from 'vitest';
import { startBroker } from '../support/broker-process.ts';
import { leasehold } from '../support/processes.ts';
import { LONG_MS, leaseBroker } from './lessees.ts';
import { onTerminal, terminalEnv } from './on-terminal.ts';
import { outcomeOf, run, said, until } from './run.ts';

const { env, mapping, hold, next, listed } = leaseBroker();

describe('leases', () => {
  it('says that there are none', async () => {
    const table = await run(env, ['leases', '--prefix', 'none']);
    expect(table).toMatchObject({ code: 0, err: '' });
    expect(table.out).toMatch(/^MAPPING +STATE +MODE +PID +USER +NAME +TIME +TOKEN +HOLD ID\n$/);
    expect(await run(env, ['leases', '--prefix', 'none', '--format', 'json'])).toEqual({
      code: 0,
      out: '{\n  "mappings": []\n}\n',
      err: '',
    });
  });

  it('shows who holds and who waits, for people and for scripts', async () => {
    await mapping('table');
    const holder = await hold('table');
    const waiter = leasehold(
      ['lease', 'table', '--name', 'reader', '--mode', 'shared', '--wait-ms', LONG_MS, '--', 'true'],
      { env },
    );
    await until(async () => (await listed('table')).waiters.length === 1);
    const { out } = await run(env, ['leases']);
    const rows = out.split('\n').map((row) => row.trim().split(/ {2,}/));
    const user = expect.any(String);
    const id = expect.stringMatching(/^\d+$/);
    const time = expect.stringMatching(/^\d+\.\d s (left|so far)$/);
    expect(rows.slice(1, 3)).toEqual([
      ['table', 'held', 'exclusive', String(holder.pid), user, 'node', time, id, id],
      ['waiting #1', 'shared', String(waiter.pid), user, 'reader', time, '–', id],
    ]);
    expect(JSON.parse((await run(env, ['leases', '--format', 'json'])).out)).toEqual({
      mappings: [
        {
          mappingName: 'table',
          mappingId: id,
          channel: false,
          dirty: false,
          fencingToken: id,
          holders: [
            expect.objectContaining({
              holdId: rows[1]?.[8],
              mode: 'exclusive',
              fencingToken: rows[1]?.[7],
              holder: expect.objectContaining({ pid: holder.pid, uid: process.getuid?.(), name: 'node' }),
              timeLeftMs: expect.any(Number),
              overdue: false,
            }),
          ],
          waiters: [
            {
              principal: expect.objectContaining({ pid: waiter.pid }),
              mode: 'shared',
              waitingMs: expect.any(Number),
              holdId: rows[2]?.[7],
              position: 0,
            },
          ],
        },
      ],
    });
    holder.child.stdin?.end();
    await waiter.ended;
  });

  it('marks what is in doubt, until mark-clean', async () => {
    await mapping('table');
    const holder = await hold('table');
    process.kill(holder.childPid, 'SIGKILL');
    await holder.ended;
    expect((await run(env, ['leases'])).out).toMatch(/^table +free, dirty +–/m);
    expect(await run(env, ['mark-clean', 'table'])).toEqual({ code: 0, out: '', err: '' });
    expect((await listed('table')).dirty).toBe(false);
    expect(await next('table')).toBe('0');
  });

  it('watches: a line of JSON for each look in a pipe, until Ctrl-C', async () => {
    await mapping('table');
    const watching = leasehold(['leases', '--watch', '--interval-ms', '50'], { env });
    await said(watching, /"mappings":\[\]\}\n/);
    const holder = await hold('table');
    await said(watching, new RegExp(`"pid":${holder.pid}`));
    holder.child.stdin?.end();
    await said(watching, /"holders":\[\{[\s\S]*"mappings":\[\]\}\n/);
    watching.child.kill('SIGINT');
    const { code, out, err } = await outcomeOf(watching);
    expect({ code, err }).toEqual({ code: 130, err: '' });
    for (const line of out.trimEnd().split('\n')) expect(JSON.parse(line)).toHaveProperty('mappings');
  });

  it('watches on a terminal: one picture over the other, and the cursor is there in the end', async () => {
    await mapping('table');
    const watching = onTerminal(terminalEnv(env), ['leases', '--watch', '--interval-ms', '50']);
    await said(watching, /leases at \d\d:\d\d:\d\d/);
    const holder = await hold('table');
    await said(watching, new RegExp(`\u001b\\[\\d+A\r[\\s\\S]*${holder.pid}`));
    watching.child.stdin?.write('\u0003');
    const { code, out } = await outcomeOf(watching);
    expect(code).toBe(130);
    expect(out.lastIndexOf('\u001b[?25h')).toBeGreaterThan(out.lastIndexOf('\u001b[?25l'));
    holder.child.stdin?.end();
  });

  it('watches until its broker is gone: 3', async () => {
    const own = await startBroker();
    const watching = leasehold(['leases', '--watch', '--interval-ms', '50'], { env: own.env });
    await said(watching, /\n/);
    own.child.kill('SIGKILL');
    expect(await outcomeOf(watching)).toMatchObject({ code: 3 });
  });
});

describe('revoke and mark-clean', () => {
  it('of what is not there are 5', async () => {
    await mapping('table');
    expect(await run(env, ['revoke', 'table', '12345'])).toMatchObject({ code: 5, out: '' });
    expect(await run(env, ['revoke', 'nothing', '12345'])).toMatchObject({ code: 5, out: '' });
    expect(await run(env, ['mark-clean', 'nothing'])).toMatchObject({ code: 5, out: '' });
  });
});

describe('wrong usage', () => {
  it.each([
    [['lease'], 'name'],
    [['lease', 'job'], 'command'],
    [['lease', 'job', '--'], 'command'],
    [['lease', 'job', 'ls', '-l'], 'leasehold lease NAME -- COMMAND'],
    [['lease', 'Bad Name', '--', 'true'], 'Bad Name'],
    [['lease', 'job', '--mode', 'both', '--', 'true'], 'both'],
    [['lease', 'job', '--ttl-ms', '0', '--', 'true'], '--ttl-ms'],
    [['lease', 'job', '--wait-ms', 'long', '--', 'true'], '--wait-ms'],
    [['lease', 'job', '--create', '0', '--', 'true'], '--create'],
    [['lease', 'job', '--mode', 'shared', '--mark-clean', '--', 'true'], '--mark-clean'],
    [['session'], 'command'],
    [['session', 'ls', '-l'], 'leasehold session -- COMMAND'],
    [['leases', '--interval-ms', '100'], '--watch'],
    [['leases', '--watch', '--interval-ms', '0'], '0'],
    [['revoke', 'job'], 'hold-id'],
    [['revoke', 'job', '0x1'], '0x1'],
    [['mark-clean'], 'name'],
  ])('%j is 2', async (args, message) => {
    const { code, out, err } = await run(env, args);
    expect({ code, out }).toEqual({ code: 2, out: '' });
    expect(err).toMatch(/^leasehold: /);
    expect(err).toContain(message);
  });

  it.each([[['leases']], [['lease', 'x', '--', 'true']], [['session', '--', 'true']], [['mark-clean', 'x']]])(
    '%j without a broker is 3',
    async (args) => {
      const { code, out, err } = await run(
        { ...process.env, LEASEHOLD_RUNTIME_DIR: '/tmp/lh-nobody-serves-here' },
        args,
      );
      expect({ code, out }).toEqual({ code: 3, out: '' });
      expect(err).toContain('leasehold serve');
    },
  );
});
