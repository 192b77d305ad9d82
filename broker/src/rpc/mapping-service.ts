/** MappingService: requests in, domain, replies out. */
import {
  type CreateMappingRequest,
  type CreateMappingWithProgressRequest,
  MappingEvent,
  type MappingService,
  type ServiceImplementation,
} from '@leasehold/proto';
import * as mappings from '../domain/mapping-operations.ts';
import type { OwnedMapping } from '../domain/owned-mapping.ts';
import type { CreateOptions, MappingChange } from '../domain/registry.ts';
import { resizeMapping } from '../domain/resize-operations.ts';
import type { Session } from '../domain/session.ts';
import { invalidArgument } from '../domain/specification.ts';
import { serverStream, unary, waiting, watchStream } from './handlers.ts';
import { attachmentMessage, mappingMessage } from './messages.ts';
import { accessOf, ifExistsOf, mappingRequest } from './requests.ts';
import type { RpcContext } from './rpc-context.ts';

const EVENT = {
  created: MappingEvent.CREATED,
  changed: MappingEvent.CHANGED,
  deleted: MappingEvent.DELETED,
} as const;

export function mappingService(context: RpcContext): ServiceImplementation<typeof MappingService> {
  const { core } = context;
  return {
    createMapping: waiting(context, (request, caller, { signal }) => create(context, caller, request, { signal })),
    createMappingWithProgress: createWithProgress(context),
    getMapping: unary(context, ({ name }, caller) => ({
      mapping: mappingMessage(mappings.getMapping(core, caller, name)),
    })),
    listMappings: unary(context, ({ prefix }, caller) => ({
      mappings: mappings.listMappings(core, caller, prefix).map(mappingMessage),
    })),
    watchMappings: watchMappings(context),
    resizeMapping: waiting(context, async (request, caller, { signal }) => ({
      mapping: mappingMessage(await resizeMapping(core, caller, request, signal)),
    })),
    attachMapping: waiting(context, async ({ name, access, forLeases }, caller) => {
      const wanted = { name, access: accessOf(access), forLeases };
      const attached = await mappings.attachMapping(core, caller, wanted);
      return { mapping: mappingMessage(attached.attachment.mapping), attachment: attachmentMessage(core, attached) };
    }),
    detachMapping: unary(context, ({ attachmentId }, caller) => {
      mappings.detachMapping(core, caller, attachmentId);
      return {};
    }),
    deleteMapping: unary(context, ({ name }, caller) => {
      mappings.deleteMapping(core, caller, name);
      return {};
    }),
  };
}

async function create(
  { core }: RpcContext,
  caller: Session,
  request: CreateMappingRequest,
  options: Omit<CreateOptions, 'ifExists'>,
) {
  const ifExists = ifExistsOf(request.ifExists);
  const { mapping, created } = await mappings.createMapping(core, caller, mappingRequest(request), {
    ...options,
    ifExists,
  });
  return { mapping: mappingMessage(mapping), created };
}

function createWithProgress(
  context: RpcContext,
): ServiceImplementation<typeof MappingService>['createMappingWithProgress'] {
  return serverStream<CreateMappingWithProgressRequest, CreationMessage>(context, ({ mapping }, caller, stream) => {
    if (mapping === undefined) throw invalidArgument('mapping', 'is missing');
    const cancelled = new AbortController();
    const onProgress = (populatedBytes: number, totalBytes: number): void => {
      const value = { populatedBytes: BigInt(populatedBytes), totalBytes: BigInt(totalBytes) };
      // Of what a slow reader has not read yet, the newest is enough.
      stream.push({ message: { case: 'progress', value } }, 'progress');
    };
    create(context, caller, mapping, { signal: cancelled.signal, onProgress }).then(
      (value) => {
        stream.push({ message: { case: 'created', value } });
        stream.end();
      },
      (error: unknown) => stream.fail(error),
    );
    return () => cancelled.abort();
  });
}

type CreationMessage = {
  message:
    | { case: 'progress'; value: { populatedBytes: bigint; totalBytes: bigint } }
    | { case: 'created'; value: Awaited<ReturnType<typeof create>> };
};
type MappingEventMessage = { event: MappingEvent; mapping?: ReturnType<typeof mappingMessage> };

function watchMappings(context: RpcContext): ServiceImplementation<typeof MappingService>['watchMappings'] {
  const { core } = context;
  const messages = sharedMessages();
  return watchStream(context, ({ prefix }, caller, stream) => {
    const found: OwnedMapping[] = [];
    let synced = false;
    return mappings.watchMappings(core, caller, prefix, {
      changed: (change, mapping) => {
        if (synced) stream.push(messages(stream, change, mapping), change === 'changed' ? mapping.id : null);
        else found.push(mapping);
      },
      synced: () => {
        synced = true;
        stream.begin(beginning(found));
      },
    });
  });
}

function* beginning(found: readonly OwnedMapping[]): Generator<MappingEventMessage> {
  for (const mapping of found) yield { event: MappingEvent.CREATED, mapping: mappingMessage(mapping) };
  yield { event: MappingEvent.SYNCED };
}

/** One message for all streams that are told of the same change, one after the other. A stream that comes again is told of another. */
function sharedMessages(): (to: object, change: MappingChange, mapping: OwnedMapping) => MappingEventMessage {
  let last: { change: MappingChange; id: bigint; told: WeakSet<object>; message: MappingEventMessage } | null = null;
  return (to, change, mapping) => {
    if (last === null || last.change !== change || last.id !== mapping.id || last.told.has(to)) {
      const message = { event: EVENT[change], mapping: mappingMessage(mapping) };
      last = { change, id: mapping.id, told: new WeakSet(), message };
    }
    last.told.add(to);
    return last.message;
  };
}
