/**
 * The broker's HTTP: one fastify on `http.sock`, where the kernel says who is asking and the policy decides, and one on TCP, which
 * carries no identity and therefore answers only whether the broker lives and is ready (and `/metrics` where that was configured).
 *
 * Invariants: connections, their idle time and the time a request may take are bounded; `close()` ends every connection at once.
 */
import { chmod } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { peerCredentials, peerGroups } from '@leasehold/shm-core/internal';
import Fastify, { type FastifyInstance } from 'fastify';
import { noDescriptors } from '../domain/memory-error.ts';
import type { Policy, Verdict } from '../domain/policy.ts';
import type { BrokerSnapshot, Readiness } from '../snapshot.ts';
import { requireAllowedHost } from './allowed-hosts.ts';
import { createMetrics, type Metrics } from './metrics.ts';
import { identifyPeers } from './peer-identity.ts';

/** Of each server. On the socket they are shared out, so that those who are denied take few, and root always finds one. */
const CONNECTIONS_MAX = 128;
const SHARES = { placesMax: CONNECTIONS_MAX, placesReserved: 32, perUidMax: 32, deniedPerUidMax: 4, deniedMax: 32 };
const REQUEST_TIMEOUT_MS = 2_000;
const KEEP_ALIVE_TIMEOUT_MS = 5_000;
/** Node looks for connections that are too slow only this often. */
const CONNECTIONS_CHECK_MS = 500;
const BODY_BYTES_MAX = 1_024;

const UNKNOWN_PEER: Verdict = { allowed: false, why: 'the kernel does not say who is asking' };

export interface HttpAddress {
  readonly host: string;
  readonly port: number;
}

/** What the HTTP server needs of a broker. */
export interface HttpBroker {
  snapshot(): BrokerSnapshot;
  readiness(): Readiness;
  /** Decides who may read on `http.sock`. */
  readonly policy: Policy;
}

export interface HttpLogger {
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

export interface HttpServerOptions {
  readonly broker: HttpBroker;
  /** Path of `http.sock`; nothing may be there. */
  readonly socketPath: string;
  readonly socketMode: number;
  readonly http: 'off' | HttpAddress;
  /** Answer `/metrics` on TCP too, to everybody who can connect. Default false. */
  readonly metricsOnTcp?: boolean;
  readonly logger: HttpLogger;
}

export interface HttpServer {
  /** Where TCP listens, with the real port when 0 was asked for; null when it is off. */
  readonly tcpAddress: HttpAddress | null;
  /** Ends every connection, whatever it is doing. Idempotent. */
  close(): Promise<void>;
}

/** @throws Error that names `--http` when the TCP address cannot be had. */
export async function startHttpServer(options: HttpServerOptions): Promise<HttpServer> {
  const metrics = createMetrics(options.broker);
  const local = socketServer(options, metrics);
  const servers = [local];
  const close = async () => {
    metrics.close();
    await Promise.all(servers.map((server) => server.close()));
  };
  try {
    await local.listen({ path: options.socketPath });
    await chmod(options.socketPath, options.socketMode);
    if (options.http === 'off') return { tcpAddress: null, close };
    const tcp = tcpServer(options, options.http, metrics);
    servers.push(tcp);
    return { tcpAddress: await listenOnTcp(tcp, options.http), close };
  } catch (error) {
    await close();
    throw error;
  }
}

function socketServer(options: HttpServerOptions, metrics: Metrics): FastifyInstance {
  const { broker, logger } = options;
  const app = createApp(options);
  const peers = identifyPeers(app.server, {
    peerOf: (fd) => ({ ...peerCredentials(fd), groups: peerGroups(fd) }),
    gate: { ...SHARES, ownUid: process.geteuid?.() ?? 0, mayConnect: (peer) => broker.policy(peer, 'connect').allowed },
    logger,
  });
  addHealthRoutes(app, broker);
  app.get('/metrics', async (request, reply) => {
    const peer = peers.of(request.raw.socket);
    const verdict = peer === undefined ? UNKNOWN_PEER : broker.policy(peer, 'info');
    if (!verdict.allowed) return reply.code(403).send(problem('PERMISSION_DENIED', verdict.why));
    return reply.type(metrics.contentType).send(await metrics.render());
  });
  return app;
}

function tcpServer(options: HttpServerOptions, address: HttpAddress, metrics: Metrics): FastifyInstance {
  const app = createApp(options);
  app.server.maxConnections = CONNECTIONS_MAX;
  app.addHook('onRequest', requireAllowedHost(address.host));
  addHealthRoutes(app, options.broker);
  app.get('/metrics', async (_request, reply) => {
    if (options.metricsOnTcp) return reply.type(metrics.contentType).send(await metrics.render());
    const message =
      'TCP does not say who is asking; read /metrics on http.sock, or start the broker with --http-metrics';
    return reply.code(403).send(problem('PERMISSION_DENIED', message));
  });
  return app;
}

function createApp(options: HttpServerOptions): FastifyInstance {
  const app = Fastify({
    logger: false,
    bodyLimit: BODY_BYTES_MAX,
    requestTimeout: REQUEST_TIMEOUT_MS,
    connectionTimeout: REQUEST_TIMEOUT_MS,
    keepAliveTimeout: KEEP_ALIVE_TIMEOUT_MS,
    forceCloseConnections: true,
    http: { headersTimeout: REQUEST_TIMEOUT_MS, connectionsCheckingInterval: CONNECTIONS_CHECK_MS },
  });
  app.addHook('onSend', async (_request, reply) => {
    reply.header('cache-control', 'no-store').header('x-content-type-options', 'nosniff');
  });
  app.setNotFoundHandler((request, reply) =>
    reply
      .code(404)
      .send(problem('NOT_FOUND', `nothing answers ${request.method} here; try /livez, /readyz or /metrics`)),
  );
  app.setErrorHandler((error: Error & { statusCode?: number }, request, reply) => {
    const status = error.statusCode ?? 500;
    if (status < 500) return reply.code(status).send(problem('BAD_REQUEST', error.message));
    options.logger.error({ err: error, url: request.url }, 'an HTTP request failed');
    const exhausted = noDescriptors(error);
    if (exhausted !== null) return reply.code(503).send(problem(exhausted.code, exhausted.message));
    return reply.code(500).send(problem('INTERNAL', 'the broker failed to answer; its log says why'));
  });
  return app;
}

function addHealthRoutes(app: FastifyInstance, broker: HttpBroker): void {
  app.get('/livez', async () => ({ live: true }));
  app.get('/readyz', async (_request, reply) => {
    const { ready, checks } = broker.readiness();
    return reply.code(ready ? 200 : 503).send({ ready, failing: checks.filter((check) => !check.ok), checks });
  });
}

/** The body of every answer that is not 2xx or 503. */
function problem(code: string, message: string): { error: { code: string; message: string } } {
  return { error: { code, message } };
}

async function listenOnTcp(app: FastifyInstance, address: HttpAddress): Promise<HttpAddress> {
  try {
    await app.listen({ host: address.host, port: address.port });
  } catch (error) {
    const reasons: Record<string, string> = {
      EADDRINUSE: 'the port is taken',
      EACCES: 'this user may not take that port',
      EADDRNOTAVAIL: 'no interface of this machine has that address',
    };
    const code = error instanceof Error && 'code' in error ? String(error.code) : '';
    throw new Error(
      `cannot serve HTTP on ${address.host}:${address.port}: ${reasons[code] ?? String(error)}; ` +
        'choose another address with --http HOST:PORT, or use --http off',
      { cause: error },
    );
  }
  const bound = app.server.address() as AddressInfo;
  return { host: bound.address, port: bound.port };
}
