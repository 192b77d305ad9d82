/** The frame of every handler: who calls, what is answered, and that nothing it throws gets past here. */
import type * as grpc from '@grpc/grpc-js';
import { LeaseholdError } from '@leasehold/proto';
import type { Peer } from '../domain/policy.ts';
import { QuotaExceeded } from '../domain/quotas.ts';
import type { Session } from '../domain/session.ts';
import { CallCancellation } from './call-cancellation.ts';
import { statusOf } from './failures.ts';
import { OutgoingStream } from './outgoing-stream.ts';
import { resetCall } from './reset-call.ts';
import { callerOf, peerOf, type RpcContext } from './rpc-context.ts';

/** A unary call of a session that is answered at once. */
export function unary<Request, Response>(
  context: RpcContext,
  handle: (request: Request, caller: Session) => Response,
): grpc.handleUnaryCall<Request, Response> {
  return (call, callback) => inTurn(context, call, callback, (caller) => callback(null, handle(call.request, caller)));
}

/** A unary call of a session that may have to wait. What need not is answered at once, without a promise. */
export function waiting<Request, Response>(
  context: RpcContext,
  handle: (request: Request, caller: Session, cancellation: CallCancellation) => Response | Promise<Response>,
): grpc.handleUnaryCall<Request, Response> {
  return (call, callback) =>
    inTurn(context, call, callback, (caller) => {
      const cancellation = new CallCancellation(call);
      const answer = handle(call.request, caller, cancellation);
      if (!(answer instanceof Promise)) {
        cancellation.answered();
        return callback(null, answer);
      }
      answer.then(
        (response) => {
          cancellation.answered();
          callback(null, response);
        },
        (error: unknown) => {
          cancellation.answered();
          callback(statusOf(error, context.logger));
        },
      );
    });
}

/** Runs `begin` when it is its caller's turn. What it throws at once is answered. */
function inTurn<Request, Response>(
  context: RpcContext,
  call: grpc.ServerUnaryCall<Request, Response>,
  callback: grpc.sendUnaryData<Response>,
  begin: (caller: Session) => void,
): void {
  answering(context, callback, () => {
    const caller = callerOf(context, call);
    context.turns.run(caller, () => {
      // Of a call that nobody waits for any more nothing happens.
      if (call.cancelled) return false;
      answering(context, callback, () => {
        if (caller.ended) throw new LeaseholdError('UNAUTHENTICATED', 'The session ended during the call.');
        begin(caller);
      });
      return true;
    });
  });
}

function answering<Response>({ logger }: RpcContext, callback: grpc.sendUnaryData<Response>, work: () => void): void {
  try {
    work();
  } catch (error) {
    callback(statusOf(error, logger));
  }
}

/** A unary call that needs no session. */
export function anonymous<Request, Response>(
  context: RpcContext,
  handle: (request: Request, peer: Peer) => Response,
): grpc.handleUnaryCall<Request, Response> {
  return (call, callback) =>
    answering(context, callback, () => callback(null, handle(call.request, peerOf(context, call))));
}

/** A stream of a session, which ends with it. `open` tells what to do when the stream is over, however it ends. */
export function serverStream<Request, Response>(
  context: RpcContext,
  open: (request: Request, caller: Session, stream: OutgoingStream<Response>) => () => void,
): grpc.handleServerStreamingCall<Request, Response> {
  return anonymousStream(context, (request, call, stream) => {
    const caller = callerOf(context, call);
    const stopWatching = caller.onEnd(() => {
      stream.fail(new LeaseholdError('UNAUTHENTICATED', 'The session is over.'));
    });
    try {
      const close = open(request, caller, stream);
      return () => {
        stopWatching();
        close();
      };
    } catch (error) {
      stopWatching();
      throw error;
    }
  });
}

/** A stream that tells its session what changes: each costs something at every change, so one session has few of them. */
export function watchStream<Request, Response>(
  context: RpcContext,
  open: (request: Request, caller: Session, stream: OutgoingStream<Response>) => () => void,
): grpc.handleServerStreamingCall<Request, Response> {
  const { watches, core } = context;
  return serverStream(context, (request, caller, stream) => {
    const limit = core.limits.watchesPerSession;
    const count = watches.get(caller) ?? 0;
    if (count >= limit) {
      throw new QuotaExceeded({ quota: 'watches', whose: `session:${caller.id}`, used: count, limit, requested: 1 });
    }
    watches.set(caller, count + 1);
    const leave = () => void watches.set(caller, (watches.get(caller) ?? 1) - 1);
    try {
      const close = open(request, caller, stream);
      return () => {
        leave();
        close();
      };
    } catch (error) {
      leave();
      throw error;
    }
  });
}

/**
 * A stream of a session on which every message is answered at once, in order. It ends with the session, with the first message that
 * fails, or when its caller has said all. A caller that does not take the answers is not listened to.
 */
export function bidiStream<Request, Response>(
  context: RpcContext,
  open: (caller: Session) => (request: Request) => Response,
): grpc.handleBidiStreamingCall<Request, Response> {
  return (call) => {
    const stream = outgoing(context, call);
    try {
      const caller = callerOf(context, call);
      const answer = open(caller);
      const answerNext = (request: Request): void => {
        try {
          stream.push(answer(request));
        } catch (error) {
          stream.fail(error);
        }
        if (call.writableNeedDrain) call.pause();
      };
      const stopWatching = caller.onEnd(() => {
        stream.fail(new LeaseholdError('UNAUTHENTICATED', 'The session is over.'));
      });
      stream.onClose(() => {
        stopWatching();
        // What still comes is thrown away, not acted on.
        call.off('data', answerNext);
        call.resume();
      });
      call.on('drain', () => call.resume());
      call.on('end', () => stream.end());
      call.on('data', answerNext);
    } catch (error) {
      stream.fail(error);
    }
  };
}

/** A stream that needs no session. */
export function anonymousStream<Request, Response>(
  context: RpcContext,
  open: (
    request: Request,
    call: grpc.ServerWritableStream<Request, Response>,
    stream: OutgoingStream<Response>,
  ) => () => void,
): grpc.handleServerStreamingCall<Request, Response> {
  return (call) => {
    const stream = outgoing(context, call);
    try {
      stream.onClose(open(call.request, call, stream));
    } catch (error) {
      stream.fail(error);
    }
  };
}

function outgoing<Request, Response>(
  { core, logger, clock }: RpcContext,
  call: grpc.ServerWritableStream<Request, Response> | grpc.ServerDuplexStream<Request, Response>,
): OutgoingStream<Response> {
  return new OutgoingStream<Response>(call, {
    pendingMax: core.limits.pendingStreamMessages,
    logger,
    clock,
    unreadMs: core.limits.unreadStreamMs,
    reset: () => resetCall(call),
  });
}
