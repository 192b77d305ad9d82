/** What a session may ask about mappings, and the descriptors it may claim. Authorised here; the deciding is in what this calls. */
import { LeaseholdError } from '@leasehold/proto';
import type { Access, GrantedSegment } from '@leasehold/shm-core/internal';
import type { Attachment } from './attachment.ts';
import type { BrokerCore } from './broker-core.ts';
import { memoryError } from './memory-error.ts';
import type { OwnedMapping } from './owned-mapping.ts';
import type { CreateOptions, MappingWatcher } from './registry.ts';
import type { Session } from './session.ts';
import { type MappingRequest, mappingSpecification, type Specification } from './specification.ts';
import type { Ticket } from './tickets.ts';

export interface Attached {
  readonly attachment: Attachment;
  readonly ticket: Ticket;
}

export interface Granted {
  readonly attachment: Attachment | null;
  readonly mappingId: bigint;
  readonly segments: readonly GrantedSegment[];
}

/** Pages that one ClaimPages may name. */
export const CLAIM_PAGES_MAX = 64;

export function createMapping(
  core: BrokerCore,
  caller: Session,
  request: MappingRequest,
  options: CreateOptions,
): Promise<{ mapping: OwnedMapping; created: boolean }> {
  const specification = mappingSpecification(request);
  core.authorise(caller.peer, 'create', specification.name);
  return createOwned(core, caller, specification, options);
}

/** For mappings and channels alike. The creation dies with its caller's session. */
export async function createOwned(
  core: BrokerCore,
  caller: Session,
  specification: Specification,
  options: CreateOptions,
): Promise<{ mapping: OwnedMapping; created: boolean }> {
  core.requireNotDraining();
  return whileCalled(caller, options.signal, (signal) =>
    core.registry.create(caller, specification, { ...options, signal }),
  );
}

/** Runs what must not outlive its caller: `work`'s signal aborts with the call, and with the caller's session. */
export async function whileCalled<Result>(
  caller: Session,
  signal: AbortSignal,
  work: (signal: AbortSignal) => Promise<Result>,
): Promise<Result> {
  const life = new AbortController();
  const cancel = () => life.abort(signal.reason);
  const stopWatching = caller.onEnd(() => {
    life.abort(new LeaseholdError('UNAUTHENTICATED', 'The session ended during the call.'));
  });
  if (signal.aborted) cancel();
  signal.addEventListener('abort', cancel, { once: true });
  try {
    return await work(life.signal);
  } finally {
    signal.removeEventListener('abort', cancel);
    stopWatching();
  }
}

export function getMapping(core: BrokerCore, caller: Session, name: string): OwnedMapping {
  core.authorise(caller.peer, 'info', name);
  return core.registry.require(name);
}

export function listMappings(core: BrokerCore, caller: Session, prefix: string): OwnedMapping[] {
  core.authorise(caller.peer, 'list');
  return core.registry.list(prefix).filter(({ name }) => core.maySee(caller.peer, name));
}

/** Tells what is there, calls `synced`, then tells what changes. @returns how to stop */
export function watchMappings(
  core: BrokerCore,
  caller: Session,
  prefix: string,
  watcher: { readonly changed: MappingWatcher; readonly synced: () => void },
): () => void {
  for (const mapping of listMappings(core, caller, prefix)) watcher.changed('created', mapping);
  watcher.synced();
  return core.registry.watch((change, mapping) => {
    if (mapping.name.startsWith(prefix) && core.maySee(caller.peer, mapping.name)) watcher.changed(change, mapping);
  });
}

export async function attachMapping(
  core: BrokerCore,
  caller: Session,
  { name, access, forLeases }: { readonly name: string; readonly access: Access; readonly forLeases: boolean },
): Promise<Attached> {
  core.authorise(caller.peer, access, name);
  const mapping = core.registry.require(name);
  if (mapping.channel !== null) {
    throw new LeaseholdError(
      'INVALID_STATE',
      `${JSON.stringify(name)} is a channel; take part in it with OpenPublisher or OpenSubscriber.`,
      { metadata: { name } },
    );
  }
  const attachment = core.attachments.begin(caller, mapping, access, { kind: 'plain', forLeases });
  return { attachment, ticket: await core.attachments.complete(attachment) };
}

/** The caller no longer touches what it had; also right for an attachment that had ended before. */
export function detachMapping(core: BrokerCore, caller: Session, attachmentId: bigint): void {
  const attachment = caller.attachments.get(attachmentId);
  if (attachment === undefined) {
    throw new LeaseholdError('ATTACHMENT_NOT_FOUND', `This session has no attachment ${attachmentId}.`, {
      metadata: { attachmentId: String(attachmentId) },
    });
  }
  core.attachments.vacate(attachment);
}

export function deleteMapping(core: BrokerCore, caller: Session, name: string): void {
  core.authorise(caller.peer, 'delete', name);
  core.deleteMapping(core.registry.require(name));
}

/** What a ticket promised. When it could not be handed over, `claimFailed` takes it back. */
export function claimTicket(core: BrokerCore, caller: Session, ticket: Uint8Array): Granted {
  const attachment = core.attachments.tickets.redeem(caller, ticket);
  const { mapping, access, place } = attachment;
  try {
    const segments = mapping.memory.segmentsFor(access, place.index);
    attachment.claimed = true;
    return { attachment, mappingId: mapping.id, segments };
  } catch (error) {
    const why = memoryError(error);
    core.attachments.end(attachment, why);
    throw why;
  }
}

export function claimFailed(core: BrokerCore, { attachment }: Granted): void {
  if (attachment !== null) core.attachments.vacate(attachment);
}

/** Pages of other participants, for whoever writes the mapping. @throws {LeaseholdError} INVALID_ARGUMENT, ATTACHMENT_NOT_FOUND */
export function claimPages(core: BrokerCore, caller: Session, mappingId: bigint, indices: readonly number[]): Granted {
  if (indices.length === 0 || indices.length > CLAIM_PAGES_MAX) {
    throw new LeaseholdError(
      'INVALID_ARGUMENT',
      `A claim names 1 to ${CLAIM_PAGES_MAX} pages, not ${indices.length}.`,
      {
        metadata: { field: 'participant_indices' },
      },
    );
  }
  const mapping = core.registry.byId(mappingId);
  const writes = mapping?.active().some((member) => {
    return member.session === caller && member.access === 'write' && member.claimed;
  });
  if (mapping === undefined || !writes) {
    throw new LeaseholdError('ATTACHMENT_NOT_FOUND', `This session does not write mapping ${mappingId}.`, {
      metadata: { mappingId: String(mappingId) },
    });
  }
  return { attachment: null, mappingId, segments: mapping.memory.pagesFor([...new Set(indices)]) };
}
