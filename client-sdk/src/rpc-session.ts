/** A session that only speaks RPC: no doorbell, no memory. Whoever has its token acts in its name, until it is closed. */
import { createServiceClient, LeaseholdError, type OpenSessionResponse, SessionService } from '@leasehold/proto';
import { openControlClient, tokenText } from './control-client.ts';
import { findBroker } from './find-broker.ts';
import { Limits, type WaitOptions, withLimits } from './limits.ts';

/** How long opening waits for a broker that does not answer, ms. */
const OPEN_TIMEOUT_MS = 5_000;
const NAME_CHARACTERS_MAX = 100;

export interface RpcSessionOptions extends WaitOptions {
  /** Where the broker's sockets are. Default: as for `connect`. */
  readonly runtimeDir?: string | undefined;
  /** Environment to look in; default `process.env`. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** What operators see, up to 100 characters. */
  readonly name?: string;
}

export interface RpcSession extends AsyncDisposable {
  /** For the header `authorization: Bearer TOKEN`. */
  readonly token: string;
  readonly sessionId: bigint;
  /** Aborted with BROKER_LOST when the session ends other than by `close`. */
  readonly lost: AbortSignal;
  /** Ends it: leases it holds are given back. Idempotent. */
  close(): Promise<void>;
}

/** @throws LeaseholdError BROKER_UNREACHABLE, PERMISSION_DENIED, TOO_MANY_SESSIONS, QUOTA_EXCEEDED, DRAINING, TIMED_OUT, ABORTED. */
export async function openRpcSession(options: RpcSessionOptions = {}): Promise<RpcSession> {
  const limits = new Limits({ signal: options.signal, timeoutMs: options.timeoutMs ?? OPEN_TIMEOUT_MS });
  const sockets = findBroker({
    runtimeDir: options.runtimeDir,
    env: options.env ?? process.env,
    uid: process.getuid?.() ?? 0,
  });
  const client = openControlClient(sockets.controlSocket);
  const ended = new AbortController();
  const close = async (): Promise<void> => {
    ended.abort();
    client.close();
  };
  try {
    const name = (options.name ?? '').slice(0, NAME_CHARACTERS_MAX);
    const stream = createServiceClient(SessionService, client).openSession({ name }, { signal: ended.signal });
    const opening = withLimits(stream.next(), limits.rest(), 'the broker to open a session', () => undefined);
    const first = await opening;
    if (first.done === true) throw new LeaseholdError('BROKER_LOST', 'the broker ended the session at once');
    const { token, sessionId } = first.value;
    const lost = watch(stream, ended.signal);
    return { token: tokenText(token), sessionId, lost, close, [Symbol.asyncDispose]: close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** The session lives as long as its stream, which says nothing more. */
function watch(stream: AsyncIterator<OpenSessionResponse>, closed: AbortSignal): AbortSignal {
  const lost = new AbortController();
  const over = (cause?: unknown): void => {
    if (closed.aborted) return;
    lost.abort(new LeaseholdError('BROKER_LOST', 'the broker has ended this session, or is gone', { cause }));
  };
  const read = async (): Promise<void> => {
    while ((await stream.next()).done !== true);
  };
  read().then(() => over(), over);
  return lost.signal;
}
