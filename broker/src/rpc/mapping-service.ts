/** MappingService: requests in, domain, replies out. */
import { MappingEvent, type MappingService, type ServiceImplementation } from '@leasehold/proto';
import * as mappings from '../domain/mapping-operations.ts';
import type { OwnedMapping } from '../domain/owned-mapping.ts';
import type { MappingChange } from '../domain/registry.ts';
import { unary, watchStream } from './handlers.ts';
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
    createMapping: unary(context, async (request, caller, signal) => {
      const options = { ifExists: ifExistsOf(request.ifExists), signal };
      const { mapping, created } = await mappings.createMapping(core, caller, mappingRequest(request), options);
      return { mapping: mappingMessage(mapping), created };
    }),
    getMapping: unary(context, ({ name }, caller) => ({
      mapping: mappingMessage(mappings.getMapping(core, caller, name)),
    })),
    listMappings: unary(context, ({ prefix }, caller) => ({
      mappings: mappings.listMappings(core, caller, prefix).map(mappingMessage),
    })),
    watchMappings: watchMappings(context),
    attachMapping: unary(context, async ({ name, access }, caller) => {
      const attached = await mappings.attachMapping(core, caller, name, accessOf(access));
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
