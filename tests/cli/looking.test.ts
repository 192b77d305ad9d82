// `ls`, `inspect`, `watch`, `rm`, and what every command says when there is nothing, nobody, or no permission.
import { spawnSync } from 'node:child_process';
import { type Broker, connect } from '@leasehold/client';
import { describe, expect, it, onTestFinished } from 'vitest';
import { leasehold } from '../support/processes.ts';
import { sharedBroker } from '../support/shared-broker.ts';
import { tempDir } from '../support/temp-dir.ts';
import { stream } from '../video/y4m-stream.ts';
import { outcomeOf, run, STRANGER, said } from './run.ts';

const broker = sharedBroker(['--system']);
const { env } = broker;

const strangerCanRun = process.getuid?.() === 0 && spawnSync(process.execPath, ['-e', ''], STRANGER).status === 0;

/** A client that ends with the test, and what it made with it. */
async function connectForTest(): Promise<Broker> {
  const client = await connect({ runtimeDir: broker.runtimeDir });
  onTestFinished(() => client.close());
  return client;
}

/** A film of four frames, one plain mapping, and a subscriber that has taken all. */
async function furnish(): Promise<{ publisherPid: number; subscriberPid: number; clear(): Promise<void> }> {
  const publisher = leasehold(['publish', 'cam/front'], { env });
  publisher.child.stdin?.write(stream(4));
  const subscriber = leasehold(['subscribe', 'cam/front', '--history', '4'], { env });
  await said(subscriber, /(FRAME[\s\S]*){4}/);
  const client = await connectForTest();
  await client.createMapping('table', { sizeBytes: 10_000 });
  return {
    publisherPid: publisher.pid,
    subscriberPid: subscriber.pid,
    clear: async () => {
      publisher.child.stdin?.end();
      await Promise.all([publisher.ended, subscriber.ended]);
    },
  };
}

const parse = (out: string) => JSON.parse(out);

describe('ls and inspect', () => {
  it('without anything there print an empty list, and 5', async () => {
    const table = await run(env, ['ls']);
    expect(table).toMatchObject({ code: 0, err: '' });
    expect(table.out).toMatch(/^NAME +FORMAT +SLOTS +MEMORY +PAGES +PUBLISHER +SUBSCRIBERS +PUBLISHED\n$/);
    expect(await run(env, ['ls', '--format', 'json'])).toEqual({ code: 0, out: '{\n  "mappings": []\n}\n', err: '' });
    expect(await run(env, ['inspect', 'nothing'])).toMatchObject({ code: 5, out: '' });
  });

  it('show who publishes what, and who takes it, for people and for scripts', async () => {
    const { publisherPid, subscriberPid, clear } = await furnish();
    const { out, err } = await run(env, ['ls']);
    expect(err).toBe('');
    const rows = out.trimEnd().split('\n').slice(1);
    expect(rows.map((row) => row.split(/ {2,}/))).toEqual([
      ['cam/front', '6×5 YU12 29.97/s', '8', '4 KiB', expect.stringMatching(/^base/), `pid ${publisherPid}`, '1', '4'],
      ['table', '–', '–', '12 KiB', expect.stringMatching(/^base/), '–', '0', '–'],
    ]);
    expect((await run(env, ['ls', '--prefix', 'tab'])).out.trimEnd().split('\n')).toHaveLength(2);

    const listed = parse((await run(env, ['ls', '--format', 'json'])).out);
    expect(listed.mappings.map(({ name }: { name: string }) => name)).toEqual(['cam/front', 'table']);
    const uid = process.getuid?.();
    const gid = process.getgid?.();
    const inspected = parse((await run(env, ['inspect', 'cam/front', '--format', 'json'])).out);
    expect(inspected).toEqual(listed.mappings[0]);
    expect(inspected).toEqual({
      name: 'cam/front',
      id: expect.stringMatching(/^\d+$/),
      memory: {
        payloadBytes: expect.any(Number),
        mappedBytes: 4_096,
        reservedBytes: 4_096,
        pageKind: 'base',
        pageBytes: 4_096,
        fallbackReason: 'SMALLER_THAN_PAGE',
        stepDowns: [
          { pageKind: 'hugetlb-2m', reason: 'SMALLER_THAN_PAGE' },
          { pageKind: 'transparent-2m', reason: 'SMALLER_THAN_PAGE' },
        ],
        locked: false,
        numa: null,
      },
      persistent: false,
      creator: { pid: publisherPid, uid, gid, sessionId: expect.stringMatching(/^\d+$/), name: 'leasehold publish' },
      createTime: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/),
      channel: {
        format: {
          fourcc: 'YU12',
          width: 6,
          height: 5,
          strideBytes: 6,
          frameRate: { numerator: 30_000, denominator: 1_001 },
          attributes: expect.objectContaining({ 'y4m.colorspace': '420jpeg', 'y4m.aspect': '4:3' }),
        },
        slots: 8,
        slotBytes: expect.any(Number),
        overflow: 'overwrite',
        published: '4',
        fencingToken: expect.stringMatching(/^[1-9]\d*$/),
        publisher: expect.objectContaining({ pid: publisherPid, name: 'leasehold publish' }),
        standbys: 0,
        subscribers: [
          {
            principal: expect.objectContaining({ pid: subscriberPid, name: 'leasehold subscribe' }),
            mode: 'queue',
            maxPins: 2,
            taken: '4',
            lost: '0',
          },
        ],
      },
      readers: 1,
      writers: 1,
      maxParticipants: expect.any(Number),
      dirty: false,
      fencingToken: inspected.channel.fencingToken,
      leaseWaiters: 0,
    });
    const text = (await run(env, ['inspect', 'cam/front'])).out;
    expect(text).toContain(`publisher       leasehold publish (pid ${publisherPid}, uid ${uid})`);
    expect(text).toMatch(new RegExp(`leasehold subscribe \\(pid ${subscriberPid}, uid ${uid}\\) +queue +2 +4 +0\\n`));
    expect(parse((await run(env, ['inspect', 'table', '--format', 'json'])).out)).toMatchObject({ channel: null });
    await clear();
  });
});

describe('watch', () => {
  it('tells what is there, that that is all, and then what comes and goes, one JSON object a line', async () => {
    const client = await connectForTest();
    await client.createMapping('first', { sizeBytes: 1 });
    const watching = leasehold(['watch', '--format', 'json', '--prefix', ''], { env });
    await said(watching, /synced.*\n/);
    await client.createMapping('second', { sizeBytes: 1 });
    await said(watching, /second.*\n/);
    await client.deleteMapping('second');
    const told = await said(watching, /deleted.*\n/);
    const events = told.trimEnd().split('\n').map(parse);
    expect(events.map(({ event, mapping }) => [event, mapping?.name ?? null])).toEqual([
      ['created', 'first'],
      ['synced', null],
      ['created', 'second'],
      ['deleted', 'second'],
    ]);
    watching.child.kill('SIGINT');
    expect(await outcomeOf(watching)).toMatchObject({ code: 130, err: '' });
  });

  it('writes lines for people, and ends quietly when its reader is gone', async () => {
    const client = await connectForTest();
    await client.createMapping('seen', { sizeBytes: 1 });
    const watching = leasehold(['watch'], { env });
    const line = await said(watching, /\n/);
    expect(line).toMatch(/^\d\d:\d\d:\d\d\.\d{3} created seen {2}mapping, 1 B, base.* pages\n$/);
    watching.child.stdout?.destroy();
    await client.deleteMapping('seen');
    expect(await watching.ended).toMatchObject({ code: 0, stderr: '' });
  });
});

describe('rm', () => {
  it('deletes what it can, and tells what it could not: 5', async () => {
    const client = await connectForTest();
    await client.createMapping('a', { sizeBytes: 1, persistent: true });
    await client.createMapping('b', { sizeBytes: 1, persistent: true });
    const { code, out, err } = await run(env, ['rm', 'a', 'nothing', 'b']);
    expect({ code, out }).toEqual({ code: 5, out: '' });
    expect(err).toContain('"nothing"');
    expect(await client.listMappings()).toEqual([]);
  });
});

describe('every command', () => {
  const DIRECTORY = '/tmp/lh-nobody-serves-here';

  it.each([
    [['publish', 'Bad Name'], 'Bad Name'],
    [['subscribe', '/bad'], '/bad'],
    [['ls', '--bogus'], '--bogus'],
    [['ls', '--format', 'xml'], 'xml'],
    [['frobnicate'], 'frobnicate'],
    [['subscribe'], 'name'],
    [['publish', 'x', '--slots', 'many'], '--slots'],
    [['serve', '--drain-ms', '-1'], '-1'],
    [['serve', '--http', 'nowhere'], 'nowhere'],
    [['demo', '--seconds', '0'], '--seconds'],
  ])('%j is wrong usage: 2', async (args, message) => {
    const { code, out, err } = await run(env, args, stream(1));
    expect({ code, out }).toEqual({ code: 2, out: '' });
    expect(err).toMatch(/^leasehold: /);
    expect(err).toContain(message);
  });

  it('says its version and its help on stdout', async () => {
    expect(await run(env, ['--version'])).toMatchObject({
      code: 0,
      out: expect.stringMatching(/^\d+\.\d+\.\d+\n$/),
      err: '',
    });
    const { code, out, err } = await run(env, ['--help']);
    expect({ code, err }).toEqual({ code: 0, err: '' });
    const looking = ['ls', 'inspect', 'watch', 'leases', 'rm', 'revoke', 'mark-clean'];
    for (const name of ['serve', 'health', 'demo', 'publish', 'subscribe', 'lease', 'session', ...looking]) {
      expect(out).toMatch(new RegExp(`^  ${name} `, 'm'));
    }
  });

  it.each([
    ['rm', 'no/../name'],
    ['inspect', 'no/../name'],
    ['subscribe', 'no/../name', '--wait-ms', '0'],
  ])('%s %s is wrong usage: nothing can have that name', async (...args) => {
    const { code, out, err } = await run(env, args);
    expect({ code, out }).toEqual({ code: 2, out: '' });
    expect(err).toContain('no/../name');
  });

  it.each([['ls'], ['inspect', 'x'], ['watch'], ['rm', 'x'], ['subscribe', 'x'], ['publish', 'x']])(
    '%s without a broker is 3, and says where it looked and how to start one',
    async (...args) => {
      const { code, out, err } = await run({ ...process.env, LEASEHOLD_RUNTIME_DIR: DIRECTORY }, args, stream(1));
      expect({ code, out }).toEqual({ code: 3, out: '' });
      expect(err).toContain(`${DIRECTORY}/`);
      expect(err).toContain('leasehold serve');
    },
  );

  it('that no directory was named for says every place where it looked', async () => {
    const { LEASEHOLD_RUNTIME_DIR: _, ...bare } = env;
    const own = tempDir();
    // Root's broker is that of the system; other users may have one of their own.
    const as = strangerCanRun ? STRANGER : {};
    const places = process.getuid?.() === 0 && !strangerCanRun ? [] : [`${own}/leasehold/attach.sock`];
    const { code, err } = await outcomeOf(leasehold(['ls'], { env: { ...bare, XDG_RUNTIME_DIR: own }, ...as }));
    expect(code).toBe(3);
    for (const place of [...places, '/run/leasehold/attach.sock']) expect(err).toContain(place);
  });

  it.skipIf(!strangerCanRun)(
    'is refused to another user with 4 (skipped: needs root, and a checkout others can read)',
    async () => {
      const { code, out, err } = await outcomeOf(leasehold(['ls'], { env: { ...env, HOME: '/tmp' }, ...STRANGER }));
      expect({ code, out }).toEqual({ code: 4, out: '' });
      expect(err).toMatch(/^leasehold: .*\nhint: run it as the user who runs the broker, or as root\n$/);
      expect(err).toContain(String(STRANGER.uid));
    },
  );
});
