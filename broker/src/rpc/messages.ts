/** What the domain knows, as protocol messages. Every value is copied out at the moment of asking. */
import { Access, FallbackReason, NumaPlacement, type Principal, SubscribeMode } from '@leasehold/proto';
import type { SegmentGrant } from '@leasehold/shm-core/internal';
import type { Attachment } from '../domain/attachment.ts';
import type { BrokerCore } from '../domain/broker-core.ts';
import type { OwnedChannel } from '../domain/channel-operations.ts';
import type { Attached } from '../domain/mapping-operations.ts';
import type { OwnedMapping } from '../domain/owned-mapping.ts';
import type { Session } from '../domain/session.ts';
import type { ChannelSpecification } from '../domain/specification.ts';
import {
  BLOCK_BOUND,
  FALLBACK_REASON,
  LIFETIME,
  NUMA_PLACEMENT,
  OVERFLOW,
  PAGE_KIND,
  PAGE_POLICY,
} from '../wire-names.ts';

/** As google.protobuf.Timestamp. */
export const timestamp = (ms: number) => ({
  seconds: BigInt(Math.floor(ms / 1000)),
  nanos: Math.floor(ms % 1000) * 1_000_000,
});

export function principalMessage({ peer, id, name }: Session): Principal {
  return { $typeName: 'leasehold.v1.Principal', pid: peer.pid, uid: peer.uid, gid: peer.gid, sessionId: id, name };
}

export function sessionMessage(session: Session) {
  return {
    principal: principalMessage(session),
    createTime: timestamp(session.createTimeMs),
    attachments: [...session.attachments.values()].filter(({ active, part }) => active && part.kind !== 'proxy').length,
    attached: session.bell !== null,
  };
}

function grantMessage(grant: SegmentGrant) {
  const { fallbackReason, stepDowns, numa } = grant;
  return {
    payloadBytes: BigInt(grant.payloadBytes),
    mappedBytes: BigInt(grant.mappedBytes),
    reservedBytes: BigInt(grant.reservedBytes),
    locked: grant.locked,
    pageKind: PAGE_KIND[grant.pageKind],
    pageBytes: BigInt(grant.pageBytes),
    fallbackReason: fallbackReason === null ? FallbackReason.UNSPECIFIED : FALLBACK_REASON[fallbackReason],
    stepDowns: stepDowns.map(({ pageKind, reason }) => ({
      pageKind: PAGE_KIND[pageKind],
      reason: FALLBACK_REASON[reason],
    })),
    numa: numa === null ? NumaPlacement.UNSPECIFIED : NUMA_PLACEMENT[numa],
  };
}

export function mappingMessage(mapping: OwnedMapping) {
  return {
    name: mapping.name,
    id: mapping.id,
    memory: grantMessage(mapping.memory.grant),
    lifetime: LIFETIME[mapping.specification.lifetime],
    creator: principalMessage(mapping.creator),
    createTime: timestamp(mapping.createTimeMs),
    channel: mapping.channel !== null,
    readers: mapping.count('read'),
    writers: mapping.count('write'),
    maxParticipants: mapping.specification.maxParticipants,
    dirty: mapping.lock.dirty,
    fencingToken: mapping.lock.newestToken,
    leaseWaiters: mapping.lock.waiting.length,
  };
}

export function channelMessage(channel: OwnedChannel) {
  const { publishers, specification, newestSequence, publishedCount } = channel.channel;
  const { promoted } = publishers;
  return {
    spec: channelSpecMessage(specification),
    mapping: mappingMessage(channel),
    ...(promoted === null
      ? {}
      : {
          publisher: principalMessage(promoted.attachment.session),
          fencingToken: promoted.promotion.fencingToken,
        }),
    standbys: publishers.standbys,
    subscribers: channel.channel
      .subscribers()
      .filter((subscriber) => subscriber.state === 'live')
      .map((subscriber) => subscriberMessage(channel, subscriber)),
    published: BigInt(publishedCount),
    newestSequence: BigInt(newestSequence),
  };
}

function channelSpecMessage(specification: ChannelSpecification) {
  return {
    name: specification.name,
    format: { ...specification.format, attributes: { ...specification.format.attributes } },
    slotBytes: BigInt(specification.slotBytes),
    slots: specification.slots,
    pages: PAGE_POLICY[specification.pages],
    overflow: OVERFLOW[specification.overflow],
    blockBound: BLOCK_BOUND[specification.blockBound],
    blockTimeoutMs: specification.blockTimeoutMs,
    lifetime: LIFETIME[specification.lifetime],
    maxParticipants: specification.maxParticipants,
    maxLoans: specification.maxLoans,
    firstSequence: BigInt(specification.firstSequence),
    locked: specification.locked,
    ...(specification.numaNode === null ? {} : { numaNode: specification.numaNode }),
  };
}

function subscriberMessage(channel: OwnedChannel, { session, place, part }: Attachment) {
  const counters = channel.memory.counters(place.index);
  const subscriber = part.kind === 'subscriber' ? part : null;
  return {
    principal: principalMessage(session),
    mode: subscriber?.mode === 'queue' ? SubscribeMode.QUEUE : SubscribeMode.LATEST,
    maxPins: subscriber?.maxPins ?? 0,
    taken: BigInt(counters?.taken ?? 0),
    lost: BigInt(counters?.lost ?? 0),
    participantIndex: place.index,
  };
}

export function attachmentMessage({ limits, tokens }: BrokerCore, { attachment, ticket }: Attached) {
  return {
    attachmentId: attachment.id,
    mappingId: attachment.mapping.id,
    ticket: ticket.bytes,
    ticketExpireTime: timestamp(ticket.expireTimeMs),
    participantIndex: attachment.place.index,
    participantGeneration: attachment.place.generation,
    access: attachment.access === 'write' ? Access.WRITE : Access.READ,
    leaseTerms: {
      defaultTtlMs: limits.leaseTtlMsDefault,
      minTtlMs: limits.leaseTtlMsMin,
      maxTtlMs: limits.leaseTtlMsMax,
      tokenLimit: tokens.limit,
    },
  };
}
