// `create` and `resize`: mappings made by an operator.
import { describe, expect, it } from 'vitest';
import { sharedBroker } from '../support/shared-broker.ts';
import { run } from './run.ts';

const { env } = sharedBroker();
const MIB = 2 ** 20;

async function inspected(name: string) {
  return JSON.parse((await run(env, ['inspect', name, '--format', 'json'])).out);
}

describe('create', () => {
  it('makes a mapping that stays when the command has ended', async () => {
    const made = await run(env, ['create', 'stays', '3MiB', '--pages', 'never']);
    expect(made).toEqual({ code: 0, out: 'stays  mapping, 3 MiB, base pages\n', err: '' });
    const { memory, persistent } = await inspected('stays');
    expect({ payloadBytes: memory.payloadBytes, persistent }).toEqual({ payloadBytes: 3 * MIB, persistent: true });
  });

  it('tells in JSON what was granted', async () => {
    const made = await run(env, [
      'create',
      'told',
      '5000',
      '--reserve',
      '1GiB',
      '--pages',
      'never',
      '--format',
      'json',
    ]);
    expect(JSON.parse(made.out)).toMatchObject({
      name: 'told',
      memory: { payloadBytes: 5000, mappedBytes: 8192, reservedBytes: 2 ** 30, pageKind: 'base', stepDowns: [] },
      channel: null,
    });
  });

  it('refuses a name that is taken, unless the same is there', async () => {
    const args = ['create', 'twice', '4096', '--pages', 'never'];
    expect(await run(env, args)).toMatchObject({ code: 0 });
    expect(await run(env, args)).toMatchObject({ code: 1, out: '', err: expect.stringContaining('leasehold rm') });
    expect(await run(env, [...args, '--if-exists', 'open-if-same'])).toMatchObject({ code: 0 });
    const other = ['create', 'twice', '8192', '--pages', 'never', '--if-exists', 'open-if-same'];
    expect(await run(env, other)).toMatchObject({ code: 1, err: expect.stringContaining('payloadBytes') });
  });

  it.each([
    [['create', 'm', '0']],
    [['create', 'm', '1XiB']],
    [['create', '../m', '1']],
    [['create', 'm', '1', '--pages', 'some']],
    [['create', 'm', '8PiB']],
    [['resize', 'm', 'large']],
  ])('is wrong usage: %j', async (args) => {
    expect(await run(env, args)).toMatchObject({
      code: 2,
      out: '',
      err: expect.stringMatching(/^(leasehold|error): /),
    });
  });

  it('says that there is not so much memory, and leaves nothing', async () => {
    const { code, err } = await run(env, ['create', 'huge', '64TiB', '--pages', 'never']);
    expect(code).toBe(1);
    expect(err).toMatch(/^leasehold: \d+ B more would /);
    expect(await run(env, ['inspect', 'huge'])).toMatchObject({ code: 5 });
  });
});

describe('resize', () => {
  it('changes the size, there and back, and shows it', async () => {
    await run(env, ['create', 'grows', '1MiB', '--reserve', '1GiB', '--pages', 'never']);
    expect(await run(env, ['resize', 'grows', '10MiB'])).toMatchObject({
      code: 0,
      out: expect.stringContaining('10 MiB'),
    });
    expect((await run(env, ['inspect', 'grows'])).out).toContain(
      '10 MiB of payload, 10 MiB in whole pages, room to grow to 1 GiB',
    );
    expect(await run(env, ['resize', 'grows', '2MiB', '--only-grow'])).toMatchObject({ code: 0 });
    expect((await inspected('grows')).memory.payloadBytes).toBe(10 * MIB);
    expect(await run(env, ['resize', 'grows', '2MiB'])).toMatchObject({ code: 0 });
    expect((await inspected('grows')).memory.payloadBytes).toBe(2 * MIB);
  });

  it('beyond the reservation is wrong usage that says how much there is; of nothing it is 5', async () => {
    await run(env, ['create', 'fixed', '1MiB', '--pages', 'never']);
    const beyond = await run(env, ['resize', 'fixed', '2MiB']);
    expect(beyond).toMatchObject({ code: 2, out: '', err: expect.stringContaining(`${MIB} B of reservation`) });
    expect(await run(env, ['resize', 'nothing', '2MiB'])).toMatchObject({ code: 5, out: '' });
  });
});
