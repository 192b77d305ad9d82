/** What a session may ask about channels. Authorised here; the deciding is in what this calls. */
import { LeaseholdError } from '@leasehold/proto';
import { MAX_PINS } from '@leasehold/shm-core/internal';
import type { Attachment, SubscribeMode } from './attachment.ts';
import type { BrokerCore } from './broker-core.ts';
import type { ChannelRecord } from './channel-record.ts';
import { grantedTtlMs } from './lease-operations.ts';
import { type Attached, createOwned } from './mapping-operations.ts';
import type { OwnedMapping } from './owned-mapping.ts';
import type { PublisherListener } from './publisher-queue.ts';
import type { Session } from './session.ts';
import { type ChannelRequest, channelSpecification, type IfExists, inRange } from './specification.ts';
import type { Ticket } from './tickets.ts';

export type OwnedChannel = OwnedMapping & { channel: ChannelRecord };

export interface SubscriberRequest {
  readonly name: string;
  readonly mode: SubscribeMode;
  /** At most `MAX_PINS`; 0 = the default. */
  readonly maxPins: number;
  readonly history: number;
}

/** What a publisher is told, in this order: opened, then queued or promoted, in the end `ended`. */
export interface PublisherEvents extends PublisherListener {
  opened(channel: OwnedChannel, attached: Attached): void;
  /** Null: its owner detached. */
  ended(why: LeaseholdError | null): void;
}

const DEFAULT_PINS = 2;

export async function createChannel(
  core: BrokerCore,
  caller: Session,
  request: ChannelRequest,
  options: { readonly ifExists: IfExists; readonly signal: AbortSignal },
): Promise<{ channel: OwnedChannel; created: boolean }> {
  const specification = channelSpecification(request);
  core.authorise(caller.peer, 'create', specification.name);
  const { mapping, created } = await createOwned(core, caller, specification, options);
  // `requireSame` compares the kind too, so that an opened mapping is a channel.
  return { channel: mapping as OwnedChannel, created };
}

export function getChannel(core: BrokerCore, caller: Session, name: string): OwnedChannel {
  core.authorise(caller.peer, 'info', name);
  return core.registry.requireChannel(name);
}

export function listChannels(core: BrokerCore, caller: Session, prefix: string): OwnedChannel[] {
  core.authorise(caller.peer, 'list');
  return core.registry
    .list(prefix)
    .filter((mapping): mapping is OwnedChannel => mapping.channel !== null && core.maySee(caller.peer, mapping.name));
}

/**
 * Joins the queue of publishers. Its place in the order is taken before anything is waited for.
 * @returns the attachment, which the caller ends when the stream does
 */
export function openPublisher(
  core: BrokerCore,
  caller: Session,
  request: { readonly name: string; readonly failIfHeld: boolean; readonly ttlMs: number },
  events: PublisherEvents,
): Attachment {
  core.authorise(caller.peer, 'publish', request.name);
  const channel = core.registry.requireChannel(request.name);
  const { publishers } = channel.channel;
  if (request.failIfHeld && publishers.length > 0) {
    throw new LeaseholdError('PUBLISHER_EXISTS', `Another session publishes on ${JSON.stringify(request.name)}.`, {
      metadata: { name: request.name },
    });
  }
  const attachment = core.attachments.begin(caller, channel, 'write', { kind: 'publisher' });
  publishers.enter(attachment, grantedTtlMs(core.limits, request.ttlMs), events);
  attachment.onEnd = (why) => events.ended(why);
  bringIn(core, channel, attachment, events).catch((error: unknown) => {
    core.attachments.end(attachment, internal(error));
  });
  return attachment;
}

async function bringIn(
  core: BrokerCore,
  channel: OwnedChannel,
  attachment: Attachment,
  events: PublisherEvents,
): Promise<void> {
  let ticket: Ticket;
  try {
    ticket = await core.attachments.complete(attachment);
  } catch {
    // Whatever it was has ended the attachment, and so was told to `ended`.
    return;
  }
  events.opened(channel, { attachment, ticket });
  channel.channel.publishers.ready(attachment);
}

const internal = (cause: unknown): LeaseholdError =>
  new LeaseholdError('INTERNAL', 'The publisher could not be brought in.', { cause });

export async function openSubscriber(
  core: BrokerCore,
  caller: Session,
  request: SubscriberRequest,
): Promise<Attached & { readonly channel: OwnedChannel; readonly history: number }> {
  const { name, mode } = request;
  core.authorise(caller.peer, 'subscribe', name);
  const channel = core.registry.requireChannel(name);
  const maxPins = inRange('max_pins', request.maxPins || DEFAULT_PINS, 1, MAX_PINS);
  channel.channel.admitPins(maxPins);
  const { slots } = channel.channel.specification;
  const history = Math.min(request.history, slots);
  const attachment = core.attachments.begin(caller, channel, 'read', { kind: 'subscriber', mode, maxPins, history });
  const ticket = await core.attachments.complete(attachment);
  return { channel, attachment, history: attachment.history, ticket };
}

/** By the promoted publisher only. The subscriber's pins count until its process has acknowledged or is gone. */
export function detachSlowSubscriber(
  core: BrokerCore,
  caller: Session,
  target: { readonly mappingId: bigint; readonly index: number; readonly generation: number },
): void {
  const mapping = core.registry.byId(target.mappingId);
  if (mapping === undefined || mapping.channel?.publishers.promoted?.attachment.session !== caller) {
    throw new LeaseholdError('LEASE_LOST', `This session does not publish on mapping ${target.mappingId}.`, {
      metadata: { mappingId: String(target.mappingId) },
    });
  }
  core.authorise(caller.peer, 'publish', mapping.name);
  requireDetaching(mapping.channel);
  const subscriber = mapping.members.get(target.index);
  const waitedFor = subscriber?.part.kind === 'subscriber' && subscriber.part.mode === 'queue';
  if (subscriber === undefined || !waitedFor || subscriber.place.generation !== target.generation) {
    throw new LeaseholdError(
      'ATTACHMENT_NOT_FOUND',
      `Mapping ${target.mappingId} has no subscriber in queue mode ${target.index} of generation ${target.generation}.`,
      { metadata: { mappingId: String(target.mappingId), participantIndex: String(target.index) } },
    );
  }
  if (!subscriber.active) {
    core.attachments.stopWaitingFor(mapping, target.index);
    return;
  }
  const { session, id } = subscriber;
  session.notify({ kind: 'subscriber-detached', attachmentId: id, mappingId: mapping.id, reason: 'SLOW_SUBSCRIBER' });
  core.attachments.ring(subscriber);
  core.attachments.end(
    subscriber,
    new LeaseholdError('SLOW_SUBSCRIBER', 'The subscriber made the publisher wait for longer than the channel allows.'),
  );
}

/** @throws LeaseholdError INVALID_STATE: the channel was created to wait, not to detach. */
function requireDetaching({ specification }: ChannelRecord): void {
  if (specification.overflow === 'block' && specification.blockBound === 'detach') return;
  throw new LeaseholdError(
    'INVALID_STATE',
    `${JSON.stringify(specification.name)} was not created to detach slow subscribers (overflow block, block_bound detach).`,
    { metadata: { name: specification.name } },
  );
}

export function deleteChannel(core: BrokerCore, caller: Session, name: string): void {
  core.authorise(caller.peer, 'delete', name);
  core.deleteMapping(core.registry.requireChannel(name));
}
