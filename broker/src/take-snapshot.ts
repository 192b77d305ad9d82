/** The state of the broker as plain values, for metrics and for people. */
import type { Attachment } from './domain/attachment.ts';
import type { BrokerCore } from './domain/broker-core.ts';
import type { OwnedChannel } from './domain/channel-operations.ts';
import type { OwnedMapping } from './domain/owned-mapping.ts';
import { QUOTA_DIMENSIONS } from './domain/quotas.ts';
import type { Session } from './domain/session.ts';
import type { HugePageFigures } from './runtime/huge-page-figures.ts';
import type {
  BrokerSnapshot,
  ChannelSnapshot,
  HugePagesSnapshot,
  MappingSnapshot,
  PeerSnapshot,
  SubscriberSnapshot,
} from './snapshot.ts';

/** What the broker knows and its domain does not. */
export interface Surroundings {
  readonly populatingBytes: number;
  readonly hugePages: readonly HugePageFigures[];
  readonly hugePagesAdded: number;
}

export function takeSnapshot(core: BrokerCore, surroundings: Surroundings): BrokerSnapshot {
  const { populatingBytes, hugePages, hugePagesAdded } = surroundings;
  const { quota } = core;
  const mappings = core.registry.list();
  return {
    sessions: core.sessions.count,
    mappings: mappings.map(mappingSnapshot),
    channels: mappings.filter((mapping): mapping is OwnedChannel => mapping.channel !== null).map(channelSnapshot),
    memory: { quotaBytes: quota.quotaBytes, chargedBytes: quota.chargedBytes, populatingBytes },
    quotas: QUOTA_DIMENSIONS.map((dimension) => ({
      quota: dimension,
      used: quota.used(dimension),
      limit: quota.limits.total[dimension],
    })),
    hugePages: hugePagesSnapshot(core, hugePages),
    hugePagesAdded,
    draining: core.draining,
  };
}

export function hugePagesSnapshot(core: BrokerCore, figures: readonly HugePageFigures[]): HugePagesSnapshot[] {
  const grants = core.registry.list().map(({ memory }) => memory.grant);
  return figures.map((pool) => {
    const ours = grants.filter(({ pageKind }) => pageKind === pool.pageKind);
    return { ...pool, ourPages: ours.reduce((pages, { mappedBytes }) => pages + mappedBytes / pool.pageBytes, 0) };
  });
}

function mappingSnapshot(mapping: OwnedMapping): MappingSnapshot {
  const { pageKind, mappedBytes, payloadBytes } = mapping.memory.grant;
  return {
    name: mapping.name,
    id: String(mapping.id),
    channel: mapping.channel !== null,
    pageKind,
    mappedBytes,
    payloadBytes,
    readers: mapping.count('read'),
    writers: mapping.count('write'),
  };
}

function channelSnapshot(mapping: OwnedChannel): ChannelSnapshot {
  const { channel } = mapping;
  const { promoted, standbys } = channel.publishers;
  return {
    name: mapping.name,
    published: channel.publishedCount,
    publisher: promoted === null ? null : peerSnapshot(promoted.attachment.session),
    standbys,
    subscribers: channel
      .subscribers()
      .filter((subscriber) => subscriber.state === 'live')
      .map((subscriber) => subscriberSnapshot(mapping, subscriber)),
    ...channel.totals(),
  };
}

function subscriberSnapshot(mapping: OwnedMapping, { session, place, part }: Attachment): SubscriberSnapshot {
  const counters = mapping.memory.counters(place.index);
  return {
    ...peerSnapshot(session),
    mode: part.kind === 'subscriber' ? part.mode : 'latest',
    taken: counters?.taken ?? 0,
    lost: counters?.lost ?? 0,
  };
}

const peerSnapshot = ({ peer, name }: Session): PeerSnapshot => ({ pid: peer.pid, uid: peer.uid, name });
