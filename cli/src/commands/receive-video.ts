/**
 * From a channel to a video output. A frame stays pinned until its last byte is written; every frame written is whole.
 */
import { type Broker, type Channel, type Frame, LeaseholdError, type Subscriber } from '@leasehold/client';
import type { CliContext } from '../program/context.ts';
import { videoHeaderFromFrameFormat } from '../video/frame-format.ts';
import { type FrameWriter, RawWriter, Y4mWriter } from '../video/video-writer.ts';
import { frameBytes, type VideoHeader } from '../video/y4m-header.ts';
import { ProgressLine } from './progress-line.ts';
import { plural, subscribeProgressText } from './progress-text.ts';
import type { SubscribeOptions } from './subscribe-options.ts';
import type { VideoOutput } from './video-output.ts';

export interface VideoReception {
  readonly broker: Broker;
  readonly name: string;
  readonly output: VideoOutput;
  readonly options: SubscribeOptions;
  readonly context: CliContext;
}

export async function receiveVideo({ broker, name, output, options, context }: VideoReception): Promise<void> {
  const { signal } = context;
  const channel = await findChannel(broker, name, options.waitMs, context);
  const history = options.history ?? promisedHistory(channel, options.mode);
  const subscriber = await channel.subscribe({ mode: options.mode, history, signal });
  // A write that nobody reads would keep its frame, and with it the end of the subscription, for ever.
  const giveUp = () => void output.close();
  signal.addEventListener('abort', giveUp);
  try {
    const { writer, pictureBytes } = await startOutput(output, subscriber, options.raw, context);
    await writeFrames(subscriber, { writer, pictureBytes, limit: options.frames, context });
    if (output.ownsStream) await writer.end();
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  } finally {
    signal.removeEventListener('abort', giveUp);
    await subscriber.close();
  }
  if (subscriber.lost > 0) {
    context.stderr.write(
      `leasehold: lost ${plural(subscriber.lost, 'frame')}: they came faster than they were taken\n`,
    );
  }
}

/** @throws LeaseholdError CHANNEL_NOT_FOUND when there is nothing to wait for, TIMED_OUT */
async function findChannel(
  broker: Broker,
  name: string,
  waitMs: number | null,
  { signal, stderr, stderrIsTty }: CliContext,
): Promise<Channel> {
  try {
    return await broker.channel(name, { signal });
  } catch (error) {
    const absent = error instanceof LeaseholdError && error.code === 'CHANNEL_NOT_FOUND';
    if (!absent || waitMs === 0) throw error;
  }
  if (stderrIsTty) stderr.write(`leasehold: waiting for channel ${name}; Ctrl-C ends\n`);
  if (waitMs === null) return broker.waitForChannel(name, { signal });
  try {
    return await broker.waitForChannel(name, { signal, timeoutMs: waitMs });
  } catch (error) {
    if (!(error instanceof LeaseholdError && error.code === 'TIMED_OUT')) throw error;
    const message = `channel ${name} did not appear within ${waitMs} ms`;
    throw new LeaseholdError('TIMED_OUT', message, { cause: error });
  }
}

/** A `block` channel promises every frame: what was published between our joining and our first look belongs to it. */
function promisedHistory(channel: Channel, mode: SubscribeOptions['mode']): number {
  return channel.overflow === 'block' && mode === 'queue' ? channel.slots : 0;
}

interface StartedOutput {
  readonly writer: FrameWriter;
  /** What every frame must hold; null where any size goes. */
  readonly pictureBytes: number | null;
}

async function startOutput(
  output: VideoOutput,
  subscriber: Subscriber,
  raw: boolean,
  context: CliContext,
): Promise<StartedOutput> {
  await output.begin();
  const header: VideoHeader | null = raw ? null : videoHeaderFromFrameFormat(subscriber.format);
  if (header !== null) {
    const writer = new Y4mWriter(output.stream);
    await writer.writeHeader(header);
    return { writer, pictureBytes: frameBytes(header) };
  }
  if (!raw) {
    const fourcc = JSON.stringify(subscriber.format.fourcc);
    context.stderr.write(`leasehold: YUV4MPEG2 cannot carry ${fourcc}: writing raw pictures, as --raw does\n`);
  }
  return { writer: new RawWriter(output.stream), pictureBytes: null };
}

interface FrameLoop extends StartedOutput {
  readonly limit: number | null;
  readonly context: CliContext;
}

async function writeFrames(subscriber: Subscriber, { writer, pictureBytes, limit, context }: FrameLoop): Promise<void> {
  const progress = new ProgressLine(context);
  const startMs = performance.now();
  let newestBytes = 0;
  const text = () =>
    subscribeProgressText({
      frames: subscriber.taken,
      frameBytes: newestBytes,
      elapsedMs: performance.now() - startMs,
      lost: subscriber.lost,
    });
  try {
    while (limit === null || subscriber.taken < limit) {
      const frame = await subscriber.take({ signal: context.signal });
      if (frame === null) break;
      newestBytes = frame.bytes.length;
      await writeFrame(frame, writer, pictureBytes);
      progress.update(text);
    }
  } catch (error) {
    progress.clear();
    throw error;
  }
  progress.end(text);
}

async function writeFrame(frame: Frame, writer: FrameWriter, pictureBytes: number | null): Promise<void> {
  try {
    if (pictureBytes !== null && frame.bytes.length !== pictureBytes) {
      throw new Error(
        `frame ${frame.sequence} has ${frame.bytes.length} bytes, and a picture of this channel ${pictureBytes}; --raw takes any size`,
      );
    }
    const frameParameters = pictureBytes === null ? '' : Buffer.from(frame.info.metadata).toString('latin1');
    await frame.holdUntil(writer.writeFrame(frame.asUint8Array(), frameParameters));
  } finally {
    frame.release();
  }
}
