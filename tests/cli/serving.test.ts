// `leasehold serve` beside living sessions, its successor, and its neighbours; and what it answers over HTTP and gRPC.
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { Client, credentials, type ServiceError } from '@grpc/grpc-js';
import { describe, expect, it } from 'vitest';
import { startBroker } from '../support/broker-process.ts';
import { getFromSocket, readMetrics } from '../support/http-socket.ts';
import { leasehold } from '../support/processes.ts';
import { tempDir } from '../support/temp-dir.ts';
import { stream } from '../video/y4m-stream.ts';
import { outcomeOf, run, said, until } from './run.ts';

describe('a broker that is told to stop', () => {
  it.each(['SIGTERM', 'SIGINT'] as const)(
    'by %s drains for --drain-ms, ends living sessions, and exits 0',
    async (signal) => {
      const broker = await startBroker(['--drain-ms', '50']);
      const living = leasehold(['watch'], { env: broker.env });
      await said(broker, sessionOf(living.pid), 'stderr');
      // Whatever comes first otherwise: it would go as soon as it heard of the end, and take its doorbell along.
      living.child.kill('SIGSTOP');
      broker.child.kill(signal);
      const { code, err } = await outcomeOf(broker);
      expect(code).toBe(0);
      expect(messages(err)).toEqual(expect.arrayContaining(['broker drains', 'session ended', 'stopped']));
      // The living session still hears its doorbell; nothing else is left.
      expect(readdirSync(broker.runtimeDir).sort()).toEqual(['bells', 'broker.lock']);
      living.child.kill('SIGCONT');
      expect(await outcomeOf(living)).toMatchObject({
        code: 3,
        out: '',
        err: expect.stringMatching(/^leasehold: .*broker/),
      });
    },
  );

  it.each([
    ['SIGTERM', 143],
    ['SIGINT', 130],
  ] as const)('by a second %s ends at once, and its successor tidies up', async (signal, expected) => {
    const broker = await startBroker(['--drain-ms', '3600000']);
    const living = leasehold(['watch'], { env: broker.env });
    await said(broker, sessionOf(living.pid), 'stderr');
    // A client that is stopped does not notice the drain.
    living.child.kill('SIGSTOP');
    broker.child.kill(signal);
    await said(broker, /broker drains/, 'stderr');
    expect((await run(broker.env, ['health', '--ready'])).code).not.toBe(0);
    broker.child.kill(signal);
    expect((await broker.ended).code).toBe(expected);
    living.child.kill('SIGKILL');
    const state = join(broker.runtimeDir, '../state');
    const places = ['--runtime-dir', broker.runtimeDir, '--state-dir', state, '--http', 'off'];
    const successor = leasehold(['serve', ...places]);
    await said(successor, /leasehold: serving/);
    expect((await run(broker.env, ['ls', '--format', 'json'])).out).toBe('{\n  "mappings": []\n}\n');
  });

  it('takes no new sessions while it drains, and is not ready', async () => {
    const broker = await startBroker(['--drain-ms', '3600000']);
    const living = leasehold(['watch'], { env: broker.env });
    await said(broker, sessionOf(living.pid), 'stderr');
    living.child.kill('SIGSTOP');
    broker.child.kill('SIGTERM');
    await said(broker, /broker drains/, 'stderr');
    const { status, body } = await getFromSocket(broker.runtimeDir, '/readyz');
    expect(status).toBe(503);
    expect(JSON.parse(body)).toMatchObject({ ready: false, failing: [{ name: 'draining', ok: false }] });
    expect((await getFromSocket(broker.runtimeDir, '/livez')).status).toBe(200);
    expect(await run(broker.env, ['ls'])).toMatchObject({ code: 3, out: '' });
    living.child.kill('SIGKILL');
    expect((await broker.ended).code).toBe(0);
  });
});

describe('a broker and its neighbours', () => {
  it('keeps its directory to itself: the second one says who has it, and fails', async () => {
    const broker = await startBroker();
    const second = await run(process.env, ['serve', '--runtime-dir', broker.runtimeDir, '--http', 'off']);
    expect(second).toEqual({
      code: 1,
      out: '',
      err: `leasehold: a broker (pid ${broker.pid}) already serves ${broker.runtimeDir}; stop it, or choose another directory with --runtime-dir\n`,
    });
    expect((await run(broker.env, ['health', '--ready'])).code).toBe(0);
  });

  it('that was killed leaves nothing in the way of the next, which has a higher epoch', async () => {
    const broker = await startBroker();
    broker.child.kill('SIGKILL');
    await broker.ended;
    expect(await run(broker.env, ['ls'])).toMatchObject({ code: 3 });
    const state = join(broker.runtimeDir, '../state');
    const places = ['--runtime-dir', broker.runtimeDir, '--state-dir', state, '--http', 'off'];
    const next = leasehold(['serve', ...places]);
    await said(next, /leasehold: serving/);
    expect(next.stderr()).toContain('"epoch":2');
    expect((await run(broker.env, ['ls'])).code).toBe(0);
  });

  it('names --http when the port is taken', async () => {
    const neighbour = createServer().listen(0, '127.0.0.1');
    await once(neighbour, 'listening');
    const { port } = neighbour.address() as { port: number };
    const runtimeDir = join(tempDir(), 'run');
    const args = [
      'serve',
      '--runtime-dir',
      runtimeDir,
      '--state-dir',
      `${runtimeDir}-state`,
      '--http',
      `127.0.0.1:${port}`,
    ];
    const { code, err } = await run(process.env, args);
    neighbour.close();
    expect(code).toBe(1);
    expect(err).toContain(`127.0.0.1:${port}: the port is taken; choose another address with --http`);
  });
});

describe('leasehold health', () => {
  it('is 3 before, 6 when nobody comes, 0 when one does, and 3 after', async () => {
    const nowhere = { ...process.env, LEASEHOLD_RUNTIME_DIR: join(tempDir(), 'run') };
    expect(await run(nowhere, ['health'])).toMatchObject({ code: 3, out: '' });
    expect(await run(nowhere, ['health', '--ready', '--wait-ms', '100'])).toMatchObject({ code: 6, out: '' });
    const broker = await startBroker();
    const socket = join(broker.runtimeDir, 'control.sock');
    expect(await run(broker.env, ['health'])).toEqual({ code: 0, out: `serving ${socket}\n`, err: '' });
    expect(JSON.parse((await run(broker.env, ['health', '--ready', '--format', 'json'])).out)).toEqual({
      status: 'serving',
      service: 'leasehold-readiness',
      controlSocket: socket,
    });
    expect(await broker.stop()).toBe(0);
    expect(await run(broker.env, ['health'])).toMatchObject({ code: 3, out: '' });
  });
});

describe('HTTP', () => {
  it('on http.sock counts real traffic, by channel', async () => {
    const broker = await startBroker();
    expect(await getFromSocket(broker.runtimeDir, '/livez')).toMatchObject({ status: 200, body: '{"live":true}' });
    expect(JSON.parse((await getFromSocket(broker.runtimeDir, '/readyz')).body)).toMatchObject({
      ready: true,
      failing: [],
    });
    const subscriber = leasehold(['subscribe', 'cam/a'], { env: broker.env });
    const publisher = leasehold(['publish', 'cam/a', '--await-subscribers', '1', '--overflow', 'block'], {
      env: broker.env,
    });
    publisher.child.stdin?.write(stream(6));
    await said(subscriber, /(FRAME[\s\S]*){6}/);
    let metrics = await readMetrics(broker.runtimeDir);
    const of = (name: string) => metrics.get(`leasehold_${name}{channel="cam/a"}`);
    const counted = () => [of('frames_published_total'), of('frames_taken_total'), of('frames_lost_total')];
    // What is rendered may be a second old.
    await until(async () => {
      metrics = await readMetrics(broker.runtimeDir);
      return of('frames_taken_total') === 6;
    });
    expect(counted()).toEqual([6, 6, 0]);
    expect([of('channel_publishers'), of('channel_standbys'), of('channel_subscribers')]).toEqual([1, 0, 1]);
    expect(metrics.get('leasehold_sessions')).toBe(2);
    expect(metrics.get('leasehold_channels')).toBe(1);
    expect(metrics.get('leasehold_mappings{page_kind="base"}')).toBe(1);
    expect(metrics.get('leasehold_mapped_bytes{page_kind="base"}')).toBeGreaterThan(0);
    expect((await getFromSocket(broker.runtimeDir, '/nothing')).status).toBe(404);
    publisher.child.stdin?.end();
    expect([(await publisher.ended).code, (await subscriber.ended).code]).toEqual([0, 0]);
  });

  it('on TCP answers for health, and keeps /metrics to itself unless it was told not to', async () => {
    const closed = await startBroker(['--http', '127.0.0.1:0']);
    const base = await tcpAddress(closed.stderr);
    expect((await fetch(`${base}/livez`)).status).toBe(200);
    expect((await fetch(`${base}/readyz`)).status).toBe(200);
    const refused = await fetch(`${base}/metrics`);
    expect(refused.status).toBe(403);
    expect(await refused.text()).toContain('--http-metrics');
    const open = await startBroker(['--http', '127.0.0.1:0', '--http-metrics']);
    expect(await (await fetch(`${await tcpAddress(open.stderr)}/metrics`)).text()).toContain('leasehold_sessions 0');
  });
});

describe('gRPC', () => {
  it('on control.sock answers grpc.health.v1 and reflection', async () => {
    const broker = await startBroker();
    const client = new Client(`unix:${join(broker.runtimeDir, 'control.sock')}`, credentials.createInsecure());
    try {
      for (const service of ['', 'leasehold-liveness', 'leasehold-readiness']) {
        // HealthCheckResponse { status: SERVING }
        expect(await check(client, service), service).toEqual(Buffer.from([0x08, 0x01]));
      }
      await expect(check(client, 'nobody')).rejects.toMatchObject({ code: 5 });
      const services = await listServices(client);
      for (const name of ['SessionService', 'MappingService', 'ChannelService', 'LeaseService', 'AdminService']) {
        expect(services).toContain(`leasehold.v1.${name}`);
      }
    } finally {
      client.close();
    }
  });
});

/** A line of the broker's log. */
function sessionOf(pid: number): RegExp {
  return new RegExp(`"clientPid":${pid},.*session opened`);
}

function messages(log: string): string[] {
  return log
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line).msg);
}

async function tcpAddress(log: () => string): Promise<string> {
  await until(() => /"http":\{"host"/.test(log()));
  const [, host, port] = /"http":\{"host":"([^"]+)","port":(\d+)\}/.exec(log()) ?? [];
  return `http://${host}:${port}`;
}

const plain = (bytes: Buffer): Buffer => bytes;

/** A protobuf message of one string: field `number`. */
function stringField(number: number, text: string): Buffer {
  return Buffer.concat([Buffer.from([(number << 3) | 2, text.length]), Buffer.from(text)]);
}

function check(client: Client, service: string): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const answer = (error: ServiceError | null, response?: Buffer) =>
      error !== null || response === undefined ? reject(error) : resolve(response);
    client.makeUnaryRequest('/grpc.health.v1.Health/Check', plain, plain, stringField(1, service), answer);
  });
}

/** The answer to ListServices, in which the names stand as they are. */
function listServices(client: Client): Promise<string> {
  const call = client.makeBidiStreamRequest('/grpc.reflection.v1.ServerReflection/ServerReflectionInfo', plain, plain);
  return new Promise((resolve, reject) => {
    call.once('error', reject);
    call.once('data', (response: Buffer) => {
      resolve(response.toString('latin1'));
      call.end();
    });
    call.write(stringField(7, '*'));
  });
}
