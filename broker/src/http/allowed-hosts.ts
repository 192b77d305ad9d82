/**
 * The defence of the TCP port against DNS rebinding: a web page whose name suddenly resolves to this machine sends its own name in
 * `Host`, so only names that mean this machine, and the one that was configured, are answered.
 */
import { isIP } from 'node:net';
import type { FastifyReply, FastifyRequest } from 'fastify';

const LOCAL_NAMES = ['localhost', '127.0.0.1', '[::1]'];
const WILDCARDS = ['0.0.0.0', '::'];

/** A fastify `onRequest` hook for a server configured to listen on `configuredHost`. */
export function requireAllowedHost(
  configuredHost: string,
): (request: FastifyRequest, reply: FastifyReply) => Promise<FastifyReply | undefined> {
  const allowed = new Set([...LOCAL_NAMES, hostOf(configuredHost)]);
  const anyAddress = WILDCARDS.includes(configuredHost);
  return async (request, reply) => {
    const name = nameIn(request.headers.host ?? '');
    // On a wildcard any address may be meant; rebinding needs a name, so an address is safe.
    if (allowed.has(name) || (anyAddress && isIP(name.replace(/^\[|\]$/g, '')) !== 0)) return undefined;
    return reply.code(403).send({
      error: {
        code: 'HOST_NOT_ALLOWED',
        message: `requests for the host ${JSON.stringify(name)} are not answered here`,
      },
    });
  };
}

/** How a host is written in a `Host` header. */
function hostOf(host: string): string {
  return isIP(host) === 6 ? `[${host.toLowerCase()}]` : host.toLowerCase();
}

function nameIn(hostHeader: string): string {
  return hostHeader.toLowerCase().replace(/:[0-9]+$/, '');
}
