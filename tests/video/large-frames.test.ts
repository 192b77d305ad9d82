// Real video, bit for bit: what ffmpeg hands to `publish` is what three `subscribe` processes hand back to it.
import { describe, expect, it } from 'vitest';
import { readMetrics } from '../support/http-socket.ts';
import { leasehold } from '../support/processes.ts';
import { sharedBroker } from '../support/shared-broker.ts';
import { SUCCESS, transfer } from './transfer.ts';

const SUBSCRIBERS = 3;

const FILMS = [
  { size: '1920x1080', frames: 300, pixelFormat: 'yuv420p', frameBytes: 3_110_400 },
  { size: '1920x1080', frames: 300, pixelFormat: 'yuv420p10le', frameBytes: 6_220_800 },
  { size: '4096x2160', frames: 60, pixelFormat: 'yuv420p', frameBytes: 13_271_040 },
  { size: '4096x2160', frames: 60, pixelFormat: 'yuv420p10le', frameBytes: 26_542_080 },
];

describe('video from ffmpeg through shared memory to three ffmpegs', () => {
  const broker = sharedBroker();

  it.each(FILMS)('$size $pixelFormat: every one of $frames frames, bit for bit', async ({ frameBytes, ...source }) => {
    const { channel, publishing, subscribing, sent, received } = await transfer(source, SUBSCRIBERS, broker);
    expect(publishing).toEqual(SUCCESS);
    expect(subscribing).toEqual(Array(SUBSCRIBERS).fill(SUCCESS));
    expect(sent.frames).toHaveLength(source.frames);
    expect(sent.frames[0]).toContain(` ${frameBytes}, `);
    for (const checksums of received) expect(checksums).toEqual(sent);
    const metrics = await readMetrics(broker.runtimeDir);
    const count = (name: string) => metrics.get(`leasehold_frames_${name}_total{channel="${channel}"}`);
    expect({ published: count('published'), taken: count('taken'), lost: count('lost') }).toEqual({
      published: source.frames,
      taken: source.frames * SUBSCRIBERS,
      lost: 0,
    });
    expect((await leasehold(['rm', channel], { env: broker.env }).ended).code).toBe(0);
  });
});
