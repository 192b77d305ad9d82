/** SessionService: sessions that live as long as a stream, what happens to one's own, and those of others. */
import { LeaseholdError, type ServiceImplementation, type SessionService } from '@leasehold/proto';
import type { SessionEvent } from '../domain/session.ts';
import { LEASE_MODE } from '../wire-names.ts';
import { anonymousStream, unary, watchStream } from './handlers.ts';
import { sessionMessage, timestamp } from './messages.ts';
import { peerOf, type RpcContext } from './rpc-context.ts';

export function sessionService(context: RpcContext): ServiceImplementation<typeof SessionService> {
  const { core } = context;
  return {
    openSession: anonymousStream(context, ({ name }, call, stream) => {
      const { session, token } = core.openSession(peerOf(context, call), name, null);
      session.onEnd(() => stream.fail(new LeaseholdError('SESSION_NOT_FOUND', 'The session was ended by the broker.')));
      stream.push({ sessionId: session.id, epoch: core.epoch, token });
      // It maps nothing, so there is nothing its process could still touch.
      return () => core.endSession(session, true);
    }),
    watchSession: watchStream(context, (_request, caller, stream) =>
      caller.watch((event) => stream.push({ event: eventMessage(event) })),
    ),
    listSessions: unary(context, (_request, caller) => {
      core.authorise(caller.peer, 'list');
      return { sessions: core.sessions.living().map(sessionMessage) };
    }),
    evictSession: unary(context, ({ sessionId }, caller) => {
      core.authorise(caller.peer, 'admin');
      core.endSession(core.sessions.require(sessionId), false);
      return {};
    }),
  };
}

function eventMessage(event: SessionEvent) {
  switch (event.kind) {
    case 'mapping-deleted':
      return { case: 'mappingDeleted' as const, value: { name: event.name, mappingId: event.mappingId } };
    case 'subscriber-detached': {
      const { attachmentId, mappingId, reason } = event;
      return { case: 'subscriberDetached' as const, value: { attachmentId, mappingId, reason } };
    }
    case 'lease-lost': {
      const { name: mappingName, mappingId, holdId, reason } = event;
      return {
        case: 'leaseLost' as const,
        value: { mappingName, mappingId, holdId, mode: LEASE_MODE[event.mode], reason },
      };
    }
    case 'draining':
      return { case: 'draining' as const, value: { deadline: timestamp(event.deadlineMs) } };
  }
}
