/** MappingService: requests in, domain, replies out. */
import { MappingEvent, type MappingService, type ServiceImplementation } from '@leasehold/proto';
import * as mappings from '../domain/mapping-operations.ts';
import { serverStream, unary } from './handlers.ts';
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
    watchMappings: serverStream(context, ({ prefix }, caller, stream) =>
      mappings.watchMappings(core, caller, prefix, {
        changed: (change, mapping) => stream.push({ event: EVENT[change], mapping: mappingMessage(mapping) }),
        synced: () => stream.push({ event: MappingEvent.SYNCED }),
      }),
    ),
    attachMapping: unary(context, async ({ name, access }, caller) => {
      const attached = await mappings.attachMapping(core, caller, name, accessOf(access));
      return { mapping: mappingMessage(attached.attachment.mapping), attachment: attachmentMessage(attached) };
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
