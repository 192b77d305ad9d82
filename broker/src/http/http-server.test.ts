import { execFile } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { type ClientRequest, type IncomingHttpHeaders, request } from 'node:http';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ownerOnly, type Policy } from '../domain/policy.ts';
import type { BrokerSnapshot, Readiness } from '../snapshot.ts';
import { type HttpServer, type HttpServerOptions, startHttpServer } from './http-server.ts';

const snapshot: BrokerSnapshot = {
  hugePages: [],
  hugePagesAdded: 0,
  sessions: 3,
  mappings: [],
  channels: [],
  memory: { quotaBytes: 1024, chargedBytes: 0, populatingBytes: 0 },
  quotas: [],
  draining: false,
};
const isRoot = process.getuid?.() === 0;
const uid = process.getuid?.() ?? 0;

let directory: string;
let socketPath: string;
let readiness: Readiness;
const started: HttpServer[] = [];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'lh-'));
  socketPath = join(directory, 'http.sock');
  readiness = { ready: true, checks: [{ name: 'memory', ok: true, detail: 'plenty' }] };
});
afterEach(async () => {
  for (const server of started.splice(0)) await server.close();
  rmSync(directory, { recursive: true, force: true });
});

const logger = { warn: () => undefined, error: () => undefined };
const start = async (options: Partial<HttpServerOptions> & { policy?: Policy } = {}): Promise<HttpServer> => {
  const { policy = ownerOnly(uid), ...rest } = options;
  const broker = { snapshot: () => snapshot, readiness: () => readiness, policy };
  const http = { host: '127.0.0.1', port: 0 };
  const server = await startHttpServer({ broker, socketPath, socketMode: 0o600, http, logger, ...rest });
  started.push(server);
  return server;
};

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}
const answerTo = (sent: ClientRequest) =>
  new Promise<Answer>((resolve, reject) => {
    sent.on('error', reject).on('response', (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (text: string) => {
        body += text;
      });
      response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body }));
    });
    sent.end();
  });
const overSocket = (path: string) => answerTo(request({ socketPath, path, agent: false }));
const overTcp = (server: HttpServer, path: string, host?: string) =>
  answerTo(request({ ...server.tcpAddress, path, agent: false, ...(host !== undefined && { headers: { host } }) }));

/** A connection that may be reset at any time. */
const opened = (socket: Socket) =>
  new Promise<Socket>((resolve) => socket.on('error', () => undefined).once('connect', () => resolve(socket)));
const closed = (socket: Socket) => new Promise<void>((resolve) => socket.once('close', () => resolve()).resume());

describe('health over HTTP', () => {
  it('answers /livez and /readyz on the socket and on TCP', async () => {
    const server = await start();
    for (const answer of [await overSocket('/livez'), await overTcp(server, '/livez')]) {
      expect([answer.status, JSON.parse(answer.body)]).toEqual([200, { live: true }]);
    }
    for (const answer of [await overSocket('/readyz'), await overTcp(server, '/readyz')]) {
      expect(answer.status).toBe(200);
      expect(JSON.parse(answer.body)).toMatchObject({ ready: true, failing: [] });
    }
  });

  it('answers /readyz with 503 and the failing checks while the broker is not ready', async () => {
    const failing = { name: 'draining', ok: false, detail: 'the broker is shutting down' };
    readiness = { ready: false, checks: [{ name: 'memory', ok: true, detail: 'plenty' }, failing] };
    const { status, body } = await overTcp(await start(), '/readyz');
    expect(status).toBe(503);
    expect(JSON.parse(body)).toMatchObject({ ready: false, failing: [failing] });
  });

  it('gives what does not exist a 404 with a reason, and a failing broker a 500 without its secrets', async () => {
    await start();
    expect(await overSocket('/nothing')).toMatchObject({ status: 404, body: expect.stringContaining('NOT_FOUND') });
    Object.defineProperty(readiness, 'checks', {
      get: () => {
        throw new Error('secret');
      },
    });
    const failed = await overSocket('/readyz');
    expect(failed.status).toBe(500);
    expect(failed.body).not.toContain('secret');
  });
});

describe('/metrics', () => {
  it('answers the owner on the socket', async () => {
    await start();
    const { status, headers, body } = await overSocket('/metrics');
    expect(status).toBe(200);
    expect(headers['content-type']).toContain('text/plain');
    expect(body).toMatch(/^leasehold_sessions 3$/m);
  });

  it('asks the policy about the process that the kernel names', async () => {
    const asked: unknown[] = [];
    const policy: Policy = (peer, action) => {
      asked.push({ peer, action });
      return { allowed: false, why: 'because I say so' };
    };
    await start({ policy });
    expect(await overSocket('/metrics')).toMatchObject({
      status: 403,
      body: expect.stringContaining('because I say so'),
    });
    const peer = expect.objectContaining({ pid: process.pid, uid });
    expect(asked).toEqual([
      { peer, action: 'connect' },
      { peer, action: 'info' },
    ]);
  });

  it.skipIf(!isRoot)('refuses another user whose connection is let in (skipped: needs root)', async () => {
    chmodSync(directory, 0o755);
    await start({ socketMode: 0o666 });
    const other = ['--reuid=65534', '--regid=65534', '--clear-groups', 'curl', '-s', '--unix-socket', socketPath];
    const { stdout } = await promisify(execFile)('setpriv', [
      ...other,
      '-w',
      '%{http_code}',
      'http://localhost/metrics',
    ]);
    expect(stdout).toMatch(/only root and uid 0.*403$/);
  });

  it('is refused on TCP unless that was configured', async () => {
    const refused = await overTcp(await start(), '/metrics');
    expect(refused).toMatchObject({ status: 403, body: expect.stringContaining('--http-metrics') });
    await started.pop()?.close();
    expect(await overTcp(await start({ metricsOnTcp: true }), '/metrics')).toMatchObject({ status: 200 });
  });
});

describe('the TCP port', () => {
  it('answers names that mean this machine, and no other', async () => {
    const server = await start();
    for (const host of ['localhost', 'LOCALHOST:7411', '127.0.0.1:7411', '[::1]:7411']) {
      expect(await overTcp(server, '/livez', host), host).toMatchObject({ status: 200 });
    }
    for (const host of ['evil.example', 'localhost.evil.example', '127.0.0.1.evil.example:7411', '10.0.0.1']) {
      expect(await overTcp(server, '/livez', host), host).toMatchObject({ status: 403 });
    }
  });

  it('refuses a request that names no host', async () => {
    const { host, port } = (await start()).tcpAddress ?? { host: '', port: 0 };
    const socket = await opened(connect(port, host));
    socket.write('GET /livez HTTP/1.0\r\n\r\n');
    const answer = await new Promise<Buffer>((resolve) => socket.once('data', resolve));
    expect(answer.toString()).toMatch(/^HTTP\/1\.1 403 /);
  });

  it('answers any address, but no name, when it listens on all of them', async () => {
    const server = await start({ http: { host: '0.0.0.0', port: 0 } });
    expect(await overTcp(server, '/livez', '192.0.2.7:7411')).toMatchObject({ status: 200 });
    expect(await overTcp(server, '/livez', 'evil.example')).toMatchObject({ status: 403 });
  });

  it('that is taken is an error that names --http, and leaves nothing behind', async () => {
    const other = createServer();
    const port = await new Promise<number>((resolve) => {
      other.listen(0, '127.0.0.1', () => resolve((other.address() as { port: number }).port));
    });
    await expect(start({ http: { host: '127.0.0.1', port } })).rejects.toThrow(/the port is taken.*--http HOST:PORT/);
    expect(statSync(socketPath, { throwIfNoEntry: false })).toBeUndefined();
    await new Promise((resolve) => other.close(resolve));
  });

  it('can be off', async () => {
    expect((await start({ http: 'off' })).tcpAddress).toBeNull();
    expect(await overSocket('/livez')).toMatchObject({ status: 200 });
  });
});

describe('connections', () => {
  it('have the socket mode that was asked for', async () => {
    await start();
    expect(statSync(socketPath).mode & 0o777).toBe(0o600);
  });

  it('of one user are capped, and those that end make room', async () => {
    await start();
    const held = await Promise.all(Array.from({ length: 32 }, () => opened(connect(socketPath))));
    await expect(overSocket('/livez')).rejects.toThrow(/hang up|ECONNRESET|EPIPE/);
    held[0]?.destroy();
    // Room is made when the server sees the end, which nothing but another attempt shows.
    let answer: Answer | undefined;
    while (answer === undefined) answer = await overSocket('/livez').catch(() => undefined);
    expect(answer.status).toBe(200);
    for (const socket of held) socket.destroy();
  });

  it('of users who are denied are few, and enough to ask whether the broker lives', async () => {
    await start({ policy: () => ({ allowed: false, why: 'because I say so' }) });
    const held = await Promise.all(Array.from({ length: 3 }, () => opened(connect(socketPath))));
    expect((await overSocket('/livez')).status).toBe(200);
    held.push(...(await Promise.all(Array.from({ length: 2 }, () => opened(connect(socketPath))))));
    await Promise.race(held.map(closed));
    await expect(overSocket('/livez')).rejects.toThrow(/hang up|ECONNRESET|EPIPE/);
    for (const socket of held) socket.destroy();
  });

  it('that never finish a request are closed', { timeout: 20_000 }, async () => {
    const server = await start();
    const silent = await opened(connect(socketPath));
    const { host, port } = server.tcpAddress ?? { host: '', port: 0 };
    const dripping = await opened(connect(port, host));
    dripping.write('GET /livez HTTP/1.1\r\nHost: localhost\r\nX: ');
    const drip = setInterval(() => dripping.write('x'), 50);
    await Promise.all([closed(silent), closed(dripping)]);
    clearInterval(drip);
  });

  it('are ended by close(), busy and idle ones alike, and the socket is gone', async () => {
    const server = await start();
    const idle = await opened(connect(socketPath));
    idle.write('GET /livez HTTP/1.1\r\nHost: x\r\n\r\n');
    await new Promise((resolve) => idle.once('data', resolve));
    const half = await opened(connect(socketPath));
    half.write('GET /livez HT');
    await Promise.all([server.close(), closed(idle), closed(half)]);
    expect(statSync(socketPath, { throwIfNoEntry: false })).toBeUndefined();
    await server.close();
  });
});
