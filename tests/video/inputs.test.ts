// What `publish` makes of whole, cut, empty and wrong inputs, and what `subscribe` makes of each.
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type Ending, leasehold } from '../support/processes.ts';
import { sharedBroker } from '../support/shared-broker.ts';
import { tempDir } from '../support/temp-dir.ts';
import { frame, PICTURE_BYTES, picture, STREAM_HEADER, stream } from './y4m-stream.ts';

const broker = sharedBroker();
const LOSSLESS = ['--overflow', 'block', '--await-subscribers', '1'];

/** Publishes `input` from stdin and takes it with one subscriber, which came first. */
async function passThrough(
  input: Buffer,
  { publish = [], subscribe = [] }: { publish?: string[]; subscribe?: string[] } = {},
): Promise<{ publisher: Ending; subscriber: Ending }> {
  const subscriber = leasehold(['subscribe', 'input', ...subscribe], { env: broker.env });
  const publisher = leasehold(['publish', 'input', ...LOSSLESS, ...publish], { env: broker.env });
  publisher.child.stdin?.end(input);
  return { publisher: await publisher.ended, subscriber: await subscriber.ended };
}

async function publishAlone(input: Buffer, ...args: string[]): Promise<Ending> {
  const publisher = leasehold(['publish', 'input', ...args], { env: broker.env });
  publisher.child.stdin?.end(input);
  return publisher.ended;
}

describe('a YUV4MPEG2 stream', () => {
  it('comes out as it went in: its header, the parameters of its frames, its pictures', async () => {
    const input = Buffer.concat([Buffer.from(STREAM_HEADER), frame(0), frame(1, 'Ip XTIME=17'), frame(2, 'It')]);
    const { publisher, subscriber } = await passThrough(input);
    expect(publisher).toMatchObject({ code: 0, stderr: '', stdout: Buffer.alloc(0) });
    expect(subscriber).toMatchObject({ code: 0, stderr: '' });
    expect(subscriber.stdout.toString('latin1')).toBe(input.toString('latin1'));
  });

  it('goes from a file to a file', async () => {
    const directory = tempDir();
    const [from, to] = [join(directory, 'in.y4m'), join(directory, 'out.y4m')];
    writeFileSync(from, stream(20));
    const { publisher, subscriber } = await passThrough(Buffer.alloc(0), {
      publish: ['--input', from],
      subscribe: ['--output', to],
    });
    expect([publisher.code, subscriber.code, publisher.stderr + subscriber.stderr]).toEqual([0, 0, '']);
    expect(readFileSync(to).equals(stream(20))).toBe(true);
  });

  it('without a single frame is a stream without a single frame', async () => {
    const { publisher, subscriber } = await passThrough(stream(0));
    expect([publisher.code, subscriber.code, publisher.stderr + subscriber.stderr]).toEqual([0, 0, '']);
    expect(subscriber.stdout.toString()).toBe(STREAM_HEADER);
  });

  it.each([
    ['a picture', 10, `in the middle of a frame: 10 of ${PICTURE_BYTES} bytes are missing, after 2 complete frames`],
    [
      'a frame header',
      PICTURE_BYTES + 3,
      'in the middle of a frame header: 3 of 6 bytes are missing, after 2 complete frames',
    ],
  ])('cut in the middle of %s fails at the publisher and delivers what was complete', async (_part, cut, message) => {
    const { publisher, subscriber } = await passThrough(stream(3).subarray(0, -cut));
    expect(publisher).toMatchObject({ code: 1, stderr: `leasehold: the video ends ${message}\n` });
    expect(subscriber).toMatchObject({ code: 0, stderr: '' });
    expect(subscriber.stdout.equals(stream(2))).toBe(true);
  });

  it('that turns to garbage fails at the publisher, with the place, and delivers what was good', async () => {
    const input = Buffer.concat([stream(2), Buffer.alloc(100, 'x')]);
    const { publisher, subscriber } = await passThrough(input);
    expect(publisher.code).toBe(1);
    expect(publisher.stderr).toContain(`(at byte ${stream(2).length} of the stream)`);
    expect(subscriber).toMatchObject({ code: 0, stderr: '' });
    expect(subscriber.stdout.equals(stream(2))).toBe(true);
  });

  it('whose source keeps the pipe open is ended by Ctrl-C, and subscribers end well', async () => {
    const subscriber = leasehold(['subscribe', 'input'], { env: broker.env });
    const publisher = leasehold(['publish', 'input', ...LOSSLESS], { env: broker.env });
    publisher.child.stdin?.write(stream(2));
    let receivedBytes = 0;
    while (receivedBytes < stream(2).length) {
      const [chunk] = await once(subscriber.child.stdout as NodeJS.ReadableStream, 'data');
      receivedBytes += (chunk as Buffer).length;
    }
    publisher.child.kill('SIGINT');
    expect(await publisher.ended).toMatchObject({ code: 130, stderr: '' });
    const { code, stdout, stderr } = await subscriber.ended;
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout.equals(stream(2))).toBe(true);
  });
});

describe('an input that is no video', () => {
  it.each([
    ['empty', Buffer.alloc(0), 'the input is empty'],
    ['garbage', Buffer.alloc(4_096, 'garbage '), 'YUV4MPEG2'],
    ['a header cut short', Buffer.from(STREAM_HEADER.slice(0, 20)), 'in the middle of a stream header'],
    ['of an unknown colour space', Buffer.from('YUV4MPEG2 W2 H2 F25:1 C999\n'), '999'],
    ['of no size', Buffer.from('YUV4MPEG2 W0 H0 F25:1\n'), 'the width "0"'],
  ])('(%s) is refused with exit code 1, and no channel is made', async (_what, input, message) => {
    const { code, stderr } = await publishAlone(input);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^leasehold: .*\n$/);
    expect(stderr).toContain(message);
    const list = await leasehold(['ls', '--format', 'json'], { env: broker.env }).ended;
    expect(JSON.parse(list.stdout.toString())).toEqual({ mappings: [] });
  });

  it('because the file is not there says which file', async () => {
    const { code, stderr } = await publishAlone(Buffer.alloc(0), '--input', '/nowhere/film.y4m');
    expect(code).toBe(1);
    expect(stderr).toContain('/nowhere/film.y4m');
  });
});

describe('raw video', () => {
  const RAW = ['--raw', '64x48', '--fourcc', 'RGBA', '--fps', '30'];
  const RGBA_BYTES = 64 * 48 * 4;
  const pictures = Buffer.from(Uint8Array.from({ length: RGBA_BYTES * 7 }, (_, at) => (at * 13 + (at >> 8)) % 256));

  it('comes out bit for bit', async () => {
    const { publisher, subscriber } = await passThrough(pictures, { publish: RAW, subscribe: ['--raw'] });
    expect([publisher.code, subscriber.code, publisher.stderr + subscriber.stderr]).toEqual([0, 0, '']);
    expect(subscriber.stdout.equals(pictures)).toBe(true);
  });

  it('that YUV4MPEG2 cannot carry is written raw without being asked, and that is said', async () => {
    const { subscriber } = await passThrough(pictures, { publish: RAW });
    expect(subscriber).toMatchObject({ code: 0, stderr: expect.stringContaining('writing raw pictures') });
    expect(subscriber.stdout.equals(pictures)).toBe(true);
  });

  it('of a layout that YUV4MPEG2 has comes out as YUV4MPEG2', async () => {
    const publish = ['--raw', '6x5', '--fourcc', 'YU12', '--fps', '25'];
    const { subscriber } = await passThrough(Buffer.concat([picture(0), picture(1)]), { publish });
    expect(subscriber).toMatchObject({ code: 0, stderr: '' });
    const [header, ...rest] = subscriber.stdout.toString('latin1').split('FRAME\n');
    expect(header).toMatch(/^YUV4MPEG2 W6 H5 F25:1 .*C420.*\n$/);
    expect(rest).toEqual([picture(0).toString('latin1'), picture(1).toString('latin1')]);
  });

  it('that is not a whole number of pictures fails at the publisher and delivers the whole ones', async () => {
    const { publisher, subscriber } = await passThrough(pictures.subarray(0, RGBA_BYTES * 2 + 100), {
      publish: RAW,
      subscribe: ['--raw'],
    });
    expect(publisher).toMatchObject({
      code: 1,
      stderr: `leasehold: the video ends in the middle of a frame: ${RGBA_BYTES - 100} of ${RGBA_BYTES} bytes are missing, after 2 complete frames\n`,
    });
    expect(subscriber).toMatchObject({ code: 0, stderr: '' });
    expect(subscriber.stdout.equals(pictures.subarray(0, RGBA_BYTES * 2))).toBe(true);
  });

  it.each([
    [['--raw', '64x48'], '--fourcc'],
    [['--fourcc', 'RGBA'], '--raw'],
    [['--raw', '64by48', '--fourcc', 'RGBA'], '64by48'],
    [['--raw', '0x48', '--fourcc', 'RGBA'], '0x48'],
    [['--raw', '64x48', '--fourcc', 'WHAT'], 'WHAT'],
    [['--raw', '64x48', '--fourcc', 'RGBA', '--fps', 'fast'], 'fast'],
    [['--raw', '64x48', '--fourcc', 'RGBA', '--pace', 'native'], '--fps'],
  ])('%j is wrong usage', async (args, message) => {
    const { code, stderr } = await publishAlone(Buffer.alloc(0), ...args);
    expect(code).toBe(2);
    expect(stderr).toContain(message);
  });
});
