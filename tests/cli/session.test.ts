// `session`: a command that speaks to the broker by RPC.
import { fileURLToPath } from 'node:url';
import { describe, expect, it, onTestFinished } from 'vitest';
import { startBroker } from '../support/broker-process.ts';
import { leasehold } from '../support/processes.ts';
import { leaseBroker } from './lessees.ts';
import { outcomeOf, run, said } from './run.ts';

const { env, runtimeDir, mapping, next } = leaseBroker();

const RPC_LESSEE = fileURLToPath(new URL('../workers/rpc-lessee.ts', import.meta.url));

describe('session', () => {
  const lessee = (name: string) => ['session', '--name', 'script', '--', process.execPath, RPC_LESSEE, name];

  it('lets the command take a lease by RPC, which ends with the command', async () => {
    await mapping('table');
    const session = leasehold(lessee('table'), { env });
    const { told, sessionId } = JSON.parse(await said(session, /\n/));
    expect(sessionId).toBe(told);
    const { out } = await run(env, ['leases', '--prefix', 'table']);
    expect(out).toMatch(/^table +held +exclusive +\d+ +\S+ +script +[\d.]+ s left +\d+ +\d+$/m);
    session.child.stdin?.end();
    expect(await outcomeOf(session)).toMatchObject({ code: 4, err: '' });
    expect(await next('table')).toBe('1');
  });

  it('whose leasehold is killed is over at once, and the lease goes to the next', async () => {
    await mapping('table');
    const session = leasehold(lessee('table'), { env });
    onTestFinished(() => void session.child.stdin?.end());
    await said(session, /\n/);
    session.child.kill('SIGKILL');
    expect(await next('table')).toBe('1');
  });

  it('whose command is killed ends with 128 and the signal, and gives its leases back', async () => {
    await mapping('table');
    const session = leasehold(lessee('table'), { env });
    const { own } = JSON.parse(await said(session, /\n/));
    process.kill(own, 'SIGKILL');
    expect(await outcomeOf(session)).toMatchObject({ code: 137, err: '' });
    expect(await next('table')).toBe('1');
  });

  it('tells the command where the broker is, and hands on how it ended', async () => {
    const script = 'echo "$LEASEHOLD_CONTROL_SOCKET $LEASEHOLD_RUNTIME_DIR"; kill -TERM $$';
    expect(await run(env, ['session', '--', 'sh', '-c', script])).toEqual({
      code: 143,
      out: `${runtimeDir}/control.sock ${runtimeDir}\n`,
      err: '',
    });
  });

  it('that the broker ends lets the command go on, and says so', async () => {
    const own = await startBroker(['--drain-ms', '0']);
    const session = leasehold(['session', '--', 'sh', '-c', 'echo up; cat; exit 6'], { env: own.env });
    await said(session, /up\n/);
    await own.stop();
    await said(session, /leasehold: the session is over, the command goes on without it: .+\n/, 'stderr');
    session.child.stdin?.end('still here\n');
    expect(await outcomeOf(session)).toMatchObject({ code: 6, out: 'up\nstill here\n' });
  });
});
