// Every colour space that ffmpeg writes, at an odd size, through publish and subscribe and back into ffmpeg; H.264 through files.
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { leaseholdStage, pipeline } from '../support/pipeline.ts';
import { leasehold } from '../support/processes.ts';
import { sharedBroker } from '../support/shared-broker.ts';
import { tempDir } from '../support/temp-dir.ts';
import { checksumStage, readChecksums } from './test-source.ts';
import { SUCCESS, transfer } from './transfer.ts';

const FRAMES = 5;

const PIXEL_FORMATS = [
  ...['yuv420p', 'yuv411p', 'yuv422p', 'yuv444p', 'yuva444p'],
  ...['gray', 'gray9le', 'gray10le', 'gray12le', 'gray16le'],
  ...['420', '422', '444'].flatMap((sampling) => [9, 10, 12, 14, 16].map((bits) => `yuv${sampling}p${bits}le`)),
];

/** ffmpeg 5.1 halves a row of 16-bit samples in bytes: of an odd width it cannot read its own stream back. */
function oddSize(pixelFormat: string): string {
  return /^yuv42[02]p\d+le$/.test(pixelFormat) ? '18:13' : '17:13';
}

describe('a colour space of ffmpeg', () => {
  const broker = sharedBroker();

  it.each(PIXEL_FORMATS)('%s comes back bit for bit at an odd size', async (pixelFormat) => {
    const source = { size: '64x48', filters: `scale=${oddSize(pixelFormat)}`, frames: FRAMES, pixelFormat };
    const { publishing, subscribing, sent, received } = await transfer(source, 1, broker);
    expect(publishing).toEqual(SUCCESS);
    expect(subscribing).toEqual([SUCCESS]);
    expect(sent.frames).toHaveLength(FRAMES);
    expect(received).toEqual([sent]);
  });
});

describe('an H.264 file', () => {
  const broker = sharedBroker();

  it('that ffmpeg decodes is in the file that subscribe writes, frame for frame', async () => {
    const directory = tempDir();
    const film = join(directory, 'film.mp4');
    const copy = join(directory, 'film.y4m');
    const ffmpeg = ['ffmpeg', '-v', 'error'];
    const encode = ['-f', 'lavfi', '-i', 'testsrc2=size=640x360:rate=30000/1001', '-frames:v', '60'];
    const lossless = ['-c:v', 'libx264', '-preset', 'ultrafast', '-qp', '0', '-pix_fmt', 'yuv420p', film];
    expect((await pipeline([[...ffmpeg, ...encode, ...lossless]], broker.env)).statuses).toEqual([0]);

    const subscribing = leasehold(['subscribe', 'film', '--output', copy], { env: broker.env });
    const decoding = [...ffmpeg, '-i', film];
    const publishing = await pipeline(
      [
        [...decoding, '-f', 'yuv4mpegpipe', '-'],
        leaseholdStage('publish', 'film', '--overflow', 'block', '--await-subscribers', '1'),
      ],
      broker.env,
    );
    expect(publishing).toEqual(SUCCESS);
    expect(await subscribing.ended).toMatchObject({ code: 0, stderr: '', stdout: Buffer.alloc(0) });

    const decoded = join(directory, 'decoded.md5');
    const received = join(directory, 'received.md5');
    await pipeline([[...decoding, '-pix_fmt', 'yuv420p', '-f', 'framemd5', decoded]], broker.env);
    await pipeline([['cat', copy], checksumStage(received)], broker.env);
    const expected = contents(decoded);
    expect(expected).toHaveLength(60);
    expect(contents(received)).toEqual(expected);
  });
});

/** Bytes and MD5 of each frame. An mp4 has another time base than YUV4MPEG2. */
function contents(checksumsFile: string): string[] {
  return readChecksums(checksumsFile).frames.map((line) => line.split(',').slice(-2).join(','));
}
