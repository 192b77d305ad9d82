// `publish` and `subscribe` as people use them: who waits for whom, who ends when, and with which exit code.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect } from '@leasehold/client';
import { describe, expect, it } from 'vitest';
import { startBroker } from '../support/broker-process.ts';
import { leaseholdStage, pipeline } from '../support/pipeline.ts';
import { leasehold } from '../support/processes.ts';
import { sharedBroker } from '../support/shared-broker.ts';
import { tempDir } from '../support/temp-dir.ts';
import { picture, STREAM_HEADER, stream } from '../video/y4m-stream.ts';
import { outcomeOf, run, said, until } from './run.ts';

const broker = sharedBroker();
const { env } = broker;

/** How many subscribers and standbys a channel has; null when it is not there. */
async function attendance(name: string): Promise<{ subscribers: number; standbys: number } | null> {
  const client = await connect({ runtimeDir: broker.runtimeDir });
  try {
    const channel = (await client.listChannels()).find((candidate) => candidate.name === name);
    return channel === undefined ? null : { subscribers: channel.subscribers.length, standbys: channel.standbys };
  } finally {
    await client.close();
  }
}

describe('subscribe', () => {
  it('gives up with 6 when the channel does not appear within --wait-ms', async () => {
    const { code, out, err } = await run(env, ['subscribe', 'late', '--wait-ms', '100']);
    expect({ code, out }).toEqual({ code: 6, out: '' });
    expect(err).toBe('leasehold: channel late did not appear within 100 ms\n');
  });

  it('does not wait at all with --wait-ms 0: 5', async () => {
    expect(await run(env, ['subscribe', 'late', '--wait-ms', '0'])).toMatchObject({
      code: 5,
      err: expect.stringContaining('"late"'),
    });
  });

  it('leaves an older recording alone when there is no broker', async () => {
    const film = join(tempDir(), 'film.y4m');
    writeFileSync(film, 'an older recording');
    const nowhere = { ...env, LEASEHOLD_RUNTIME_DIR: tempDir() };
    expect(await run(nowhere, ['subscribe', 'late', '--output', film])).toMatchObject({ code: 3 });
    expect(readFileSync(film, 'utf8')).toBe('an older recording');
  });

  it.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)('that waits for its channel ends at once at %s', async (signal) => {
    const waiting = leasehold(['subscribe', 'late'], { env });
    await broker.sessionOf(waiting.pid);
    waiting.child.kill(signal);
    const code = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 }[signal];
    expect(await outcomeOf(waiting)).toEqual({ code, out: '', err: '' });
  });

  it('that waits for frames ends with 130 at Ctrl-C, and the channel forgets it', async () => {
    const publisher = leasehold(['publish', 'idle'], { env });
    publisher.child.stdin?.write(STREAM_HEADER);
    const subscriber = leasehold(['subscribe', 'idle'], { env });
    expect(await said(subscriber, /\n/)).toBe(STREAM_HEADER);
    subscriber.child.kill('SIGINT');
    expect(await outcomeOf(subscriber)).toEqual({ code: 130, out: STREAM_HEADER, err: '' });
    await until(async () => (await attendance('idle'))?.subscribers === 0);
    publisher.child.stdin?.end();
    expect(await outcomeOf(publisher)).toEqual({ code: 0, out: '', err: '' });
  });

  it('ends quietly with 0 when its reader goes away', async () => {
    const film = join(tempDir(), 'film.y4m');
    writeFileSync(film, stream(2_000));
    const reading = pipeline([leaseholdStage('subscribe', 'pipe'), ['head', '-c', '500']], env);
    const publisher = await run(env, [
      'publish',
      'pipe',
      '--input',
      film,
      '--overflow',
      'block',
      '--await-subscribers',
      '1',
    ]);
    expect(publisher).toEqual({ code: 0, out: '', err: '' });
    const { statuses, stderr, stdout } = await reading;
    expect({ statuses, stderr }).toEqual({ statuses: [0, 0], stderr: '' });
    expect(stdout.equals(stream(20).subarray(0, 500))).toBe(true);
  });

  it('takes --frames N and no more, and the publisher goes on without it', async () => {
    const subscriber = leasehold(['subscribe', 'some', '--frames', '3'], { env });
    const options = ['--overflow', 'block', '--await-subscribers', '1'];
    expect(await run(env, ['publish', 'some', ...options], stream(200))).toEqual({ code: 0, out: '', err: '' });
    const { code, stdout, stderr } = await subscriber.ended;
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout.equals(stream(3))).toBe(true);
  });

  it('in mode latest begins with the newest frame of a channel that stays', async () => {
    expect((await run(env, ['publish', 'kept', '--persistent'], stream(4))).code).toBe(0);
    // The mark that ends the stream is one of the two.
    const options = ['--mode', 'latest', '--history', '2', '--raw'];
    const { code, stdout, stderr } = await leasehold(['subscribe', 'kept', ...options], { env }).ended;
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout.equals(picture(3))).toBe(true);
    expect((await run(env, ['rm', 'kept'])).code).toBe(0);
  });

  it('says how many frames it lost, and delivers the others whole', async () => {
    const subscriber = leasehold(['subscribe', 'fast', '--raw'], { env });
    await broker.sessionOf(subscriber.pid);
    // 8 slots, and nothing reads: the pipe is full long before the film is over.
    const raw = ['--raw', '64x64', '--fourcc', 'RGBA', '--fps', '1000'];
    const frames = Buffer.concat(Array.from({ length: 600 }, (_, index) => Buffer.alloc(64 * 64 * 4, index % 251)));
    subscriber.child.stdout?.pause();
    const publisher = await run(env, ['publish', 'fast', ...raw, '--await-subscribers', '1'], frames);
    expect(publisher).toEqual({ code: 0, out: '', err: '' });
    subscriber.child.stdout?.resume();
    const { code, stdout, stderr } = await subscriber.ended;
    expect(code).toBe(0);
    const received = stdout.length / (64 * 64 * 4);
    expect(stderr).toBe(`leasehold: lost ${600 - received} frames: they came faster than they were taken\n`);
    for (let index = 0; index < received; index += 1) {
      const picture = stdout.subarray(index * 64 * 64 * 4, (index + 1) * 64 * 64 * 4);
      expect(picture.equals(Buffer.alloc(64 * 64 * 4, picture[0]))).toBe(true);
    }
  });
});

describe('publish', () => {
  it('gives up with 6 when the subscribers do not come, and takes its channel with it', async () => {
    const options = ['--await-subscribers', '2', '--wait-ms', '100'];
    expect(await run(env, ['publish', 'lonely', ...options], stream(1))).toEqual({
      code: 6,
      out: '',
      err: 'leasehold: 0 of 2 subscribers came to lonely within 100 ms\n',
    });
    await until(async () => (await attendance('lonely')) === null);
  });

  it('of a name that has a publisher says so, waits, and continues when the first is done', async () => {
    const first = leasehold(['publish', 'shared'], { env });
    first.child.stdin?.write(stream(1));
    const subscriber = leasehold(['subscribe', 'shared', '--history', '1', '--frames', '3'], { env });
    await said(subscriber, /FRAME/);
    const second = leasehold(['publish', 'shared'], { env });
    second.child.stdin?.write(stream(2));
    await said(second, /\n/, 'stderr');
    expect(second.stderr()).toBe('leasehold: shared has a publisher; waiting as number 1\n');
    expect(await attendance('shared')).toEqual({ subscribers: 1, standbys: 1 });
    first.child.kill('SIGKILL');
    const { code, stdout } = await subscriber.ended;
    expect(code).toBe(0);
    expect(stdout.equals(Buffer.concat([stream(1), stream(2).subarray(STREAM_HEADER.length)]))).toBe(true);
    second.child.stdin?.end();
    expect((await second.ended).code).toBe(0);
  });

  it('to a channel of another format fails and says how to see and remove it', async () => {
    expect((await run(env, ['publish', 'other', '--persistent'], stream(1))).code).toBe(0);
    const raw = ['--raw', '2x2', '--fourcc', 'RGBA', '--persistent'];
    const { code, err } = await run(env, ['publish', 'other', ...raw], Buffer.alloc(16));
    expect(code).toBe(1);
    expect(err).toContain('hint: `leasehold inspect NAME` shows what it is; `leasehold rm NAME` removes it');
    expect((await run(env, ['rm', 'other'])).code).toBe(0);
  });

  it('ends with 3 when its broker dies', async () => {
    const mortal = await startBroker();
    const publisher = leasehold(['publish', 'orphan'], { env: mortal.env });
    publisher.child.stdin?.write(stream(1));
    const subscriber = leasehold(['subscribe', 'orphan', '--history', '1'], { env: mortal.env });
    await said(subscriber, /FRAME/);
    mortal.child.kill('SIGKILL');
    for (const running of [publisher, subscriber]) {
      const { code, err } = await outcomeOf(running);
      expect(code).toBe(3);
      expect(err).toMatch(/^leasehold: .*broker.*\n$/);
    }
  });
});
