/**
 * docs/PROTOCOL.md suffices: a subscriber written from it in Python (client.py) takes part in a channel that a real broker owns and
 * this package's SDK publishes on. gRPC is not in Python's standard library, so this side calls OpenSubscriber, with the token of
 * Python's session, and hands it the ticket.
 */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { crc32 } from 'node:zlib';
import * as grpc from '@grpc/grpc-js';
import { type Broker, type ChannelOptions, connect, type Publisher } from '@leasehold/client';
import { ChannelService, createServiceClient, SubscribeMode } from '@leasehold/proto';
import { describe, expect, it, onTestFinished } from 'vitest';
import { startBroker } from '../support/broker-process.ts';
import { command, type RunningProcess } from '../support/processes.ts';

const CLIENT = fileURLToPath(new URL('client.py', import.meta.url));
const SLOT_BYTES = 10_000;

const python = spawnSync('python3', ['-c', 'import socket; socket.recv_fds']);
const missing = python.status === 0 ? null : 'python3 (3.9 or later) is not there';
if (missing !== null) console.warn(`skipped: ${missing}`);

interface Frame {
  readonly frame: number;
  readonly payloadBytes: number;
  readonly intact: boolean;
}

/** client.py, and the JSON lines that it prints. */
class PythonSubscriber {
  readonly #process: RunningProcess;
  readonly #lines: AsyncIterator<string>;

  constructor(runtimeDir: string) {
    // Compiled Python would be written into the checkout.
    const env = { ...process.env, PYTHONDONTWRITEBYTECODE: '1' };
    this.#process = command('python3', [CLIENT, runtimeDir], { env });
    const { stdout } = this.#process.child;
    if (stdout === null) throw new Error('client.py has no stdout');
    this.#lines = createInterface({ input: stdout })[Symbol.asyncIterator]();
  }

  async says(): Promise<Record<string, unknown>> {
    const { value, done } = await this.#lines.next();
    if (done === true) throw new Error(`client.py ended early: ${(await this.#process.ended).stderr}`);
    return JSON.parse(value);
  }
  tell(what: object): void {
    this.#process.child.stdin?.write(`${JSON.stringify(what)}\n`);
  }
  /** All that it prints up to the end of the stream. */
  async follow(): Promise<{ frames: Frame[]; end: Record<string, unknown> }> {
    const frames: Frame[] = [];
    for (;;) {
      const said = await this.says();
      if ('end' in said) return { frames, end: said };
      frames.push(said as unknown as Frame);
    }
  }
  async exitCode(): Promise<number | null> {
    return (await this.#process.ended).code;
  }
}

/** A broker, and what the tests do with it. */
class Scene {
  readonly #broker: Broker;
  readonly #control: grpc.Client;

  private constructor(broker: Broker, control: grpc.Client) {
    this.#broker = broker;
    this.#control = control;
  }

  static async open(): Promise<Scene> {
    const { runtimeDir } = await startBroker();
    const broker = await connect({ runtimeDir });
    const control = new grpc.Client(`unix:${join(runtimeDir, 'control.sock')}`, grpc.credentials.createInsecure());
    onTestFinished(async () => {
      control.close();
      await broker.close();
    });
    return new Scene(broker, control);
  }

  /** A Python process that subscribes in queue mode and has begun. */
  async subscribe(name: string, history = 0): Promise<PythonSubscriber> {
    const subscriber = new PythonSubscriber(this.#broker.runtimeDir);
    const { token } = await subscriber.says();
    const metadata = new grpc.Metadata();
    metadata.set('authorization', `Bearer ${token}`);
    const channels = createServiceClient(ChannelService, this.#control);
    const opened = await channels.openSubscriber({ name, mode: SubscribeMode.QUEUE, history }, { metadata });
    subscriber.tell({ ticket: Buffer.from(opened.attachment?.ticket ?? []).toString('hex'), history: opened.history });
    expect(await subscriber.says()).toMatchObject({ mapped: Number(opened.attachment?.mappingId) });
    return subscriber;
  }

  /** The publisher of a new channel. */
  async publisher(name: string, options: Partial<ChannelOptions>): Promise<Publisher> {
    const created = await this.#broker.createChannel(name, {
      slotBytes: SLOT_BYTES,
      slots: 6,
      pages: 'never',
      ...options,
    });
    return created.openPublisher();
  }
}

/** Frame `seed`: its length and bytes follow from it, and its metadata is the checksum of the payload. */
async function publish(publisher: Publisher, seed: number): Promise<number> {
  using loan = await publisher.loan({ timeoutMs: 30_000 });
  const payloadBytes = (seed * 997) % SLOT_BYTES;
  const payload = loan.bytes.subarray(0, payloadBytes);
  for (let at = 0; at < payloadBytes; at += 1) payload[at] = seed + at * 31;
  const metadata = new Uint8Array(4);
  new DataView(metadata.buffer).setUint32(0, crc32(payload), true);
  loan.publish({ payloadBytes, metadata });
  return payloadBytes;
}

describe.skipIf(missing !== null)('a client in another language', () => {
  it('takes every frame of a channel that blocks, whole and in order, and then its end', async () => {
    const scene = await Scene.open();
    const publisher = await scene.publisher('python/block', { overflow: 'block', blockTimeoutMs: 60_000 });
    const subscriber = await scene.subscribe('python/block');
    const followed = subscriber.follow();
    const published: Frame[] = [];
    for (let frame = 1; frame <= 300; frame += 1) {
      published.push({ frame, payloadBytes: await publish(publisher, frame), intact: true });
    }
    await publisher.finish();
    const { frames, end } = await followed;
    expect(frames).toEqual(published);
    expect(end).toEqual({ end: 301, taken: 300, lost: 0 });
    expect(await subscriber.exitCode()).toBe(0);
    await publisher.close();
  });

  it('counts exactly what it lost on a channel that overwrites, and takes nothing torn', async () => {
    const scene = await Scene.open();
    const publisher = await scene.publisher('python/overwrite', {});
    const subscriber = await scene.subscribe('python/overwrite');
    const followed = subscriber.follow();
    for (let frame = 1; frame <= 2_000; frame += 1) await publish(publisher, frame);
    await publisher.finish();
    const { frames, end } = await followed;
    const sequences = frames.map(({ frame }) => frame);
    expect(sequences).toEqual([...new Set(sequences)].sort((a, b) => a - b));
    expect(frames.filter(({ intact }) => !intact)).toEqual([]);
    expect(end).toEqual({ end: 2_001, taken: frames.length, lost: 2_000 - frames.length });
    expect(await subscriber.exitCode()).toBe(0);
    await publisher.close();
  });

  it('begins with the history that it was granted', async () => {
    const scene = await Scene.open();
    const publisher = await scene.publisher('python/history', {});
    for (let frame = 1; frame <= 4; frame += 1) await publish(publisher, frame);
    const subscriber = await scene.subscribe('python/history', 2);
    await publisher.finish();
    const { frames, end } = await subscriber.follow();
    expect(frames.map(({ frame }) => frame)).toEqual([3, 4]);
    expect(end).toEqual({ end: 5, taken: 2, lost: 0 });
    await publisher.close();
  });
});
