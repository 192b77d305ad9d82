/** Between the protocol's messages and the SDK's plain types. */
import * as proto from '@leasehold/proto';
import { LeaseholdError } from '@leasehold/proto';
import type { PageKind } from '@leasehold/shm-core/internal';
import { checkedChoice } from './arguments.ts';
import type {
  BrokerInfo,
  ChannelInfo,
  FrameFormat,
  MappingChange,
  MappingInfo,
  MappingLeases,
  MemoryGrant,
  PagePolicy,
  PrincipalInfo,
} from './plain-types.ts';

const PAGE_KINDS: Readonly<Record<number, PageKind>> = {
  [proto.PageKind.BASE]: 'base',
  [proto.PageKind.TRANSPARENT_2M]: 'transparent-2m',
  [proto.PageKind.HUGETLB_2M]: 'hugetlb-2m',
  [proto.PageKind.HUGETLB_1G]: 'hugetlb-1g',
  [proto.PageKind.WINDOWS_LARGE]: 'windows-large',
};

const NUMA_PLACEMENTS: Readonly<Record<number, MemoryGrant['numa']>> = {
  [proto.NumaPlacement.PREFERRED]: 'preferred',
  [proto.NumaPlacement.UNSUPPORTED]: 'unsupported',
};

const PAGE_POLICIES: Readonly<Record<PagePolicy, proto.PagePolicy>> = {
  auto: proto.PagePolicy.AUTO,
  require: proto.PagePolicy.REQUIRE,
  never: proto.PagePolicy.NEVER,
};

const EVENTS: Readonly<Record<number, MappingChange['event']>> = {
  [proto.MappingEvent.CREATED]: 'created',
  [proto.MappingEvent.CHANGED]: 'changed',
  [proto.MappingEvent.DELETED]: 'deleted',
  [proto.MappingEvent.SYNCED]: 'synced',
};

const NOBODY: PrincipalInfo = { pid: 0, uid: 0, gid: 0, sessionId: 0n, name: '' };

export function pageKindFrom(kind: proto.PageKind): PageKind {
  const known = PAGE_KINDS[kind];
  if (known === undefined)
    throw new LeaseholdError('MALFORMED_MESSAGE', `the broker granted pages of an unknown kind (${kind})`);
  return known;
}

export const pagePolicyTo = (policy: PagePolicy | undefined): proto.PagePolicy =>
  PAGE_POLICIES[checkedChoice('pages', policy ?? 'auto', ['auto', 'require', 'never'])];

export function memoryGrantFrom(grant: proto.MemoryGrant | undefined): MemoryGrant {
  if (grant === undefined) throw new LeaseholdError('MALFORMED_MESSAGE', 'the broker did not say what it granted');
  return {
    payloadBytes: Number(grant.payloadBytes),
    mappedBytes: Number(grant.mappedBytes),
    reservedBytes: Number(grant.reservedBytes),
    pageKind: pageKindFrom(grant.pageKind),
    pageBytes: Number(grant.pageBytes),
    fallbackReason: fallbackReasonFrom(grant.fallbackReason),
    stepDowns: grant.stepDowns.map(({ pageKind, reason }) => ({
      pageKind: pageKindFrom(pageKind),
      reason: fallbackReasonFrom(reason) ?? '',
    })),
    locked: grant.locked,
    numa: NUMA_PLACEMENTS[grant.numa] ?? null,
  };
}

/** Null when there was none. One that this release does not know is told by its number. */
function fallbackReasonFrom(reason: proto.FallbackReason): string | null {
  if (reason === proto.FallbackReason.UNSPECIFIED) return null;
  return proto.FallbackReason[reason] ?? String(reason);
}

export const principalFrom = (principal: proto.Principal | undefined): PrincipalInfo =>
  principal === undefined
    ? NOBODY
    : {
        pid: principal.pid,
        uid: principal.uid,
        gid: principal.gid,
        sessionId: principal.sessionId,
        name: principal.name,
      };

const dateFrom = (time: { seconds: bigint; nanos: number } | undefined): Date =>
  new Date(time === undefined ? 0 : Number(time.seconds) * 1_000 + time.nanos / 1e6);

export function mappingInfoFrom(mapping: proto.Mapping | undefined): MappingInfo {
  if (mapping === undefined) throw new LeaseholdError('MALFORMED_MESSAGE', 'the broker answered without a mapping');
  return {
    name: mapping.name,
    id: mapping.id,
    memory: memoryGrantFrom(mapping.memory),
    persistent: mapping.lifetime === proto.Lifetime.PERSISTENT,
    creator: principalFrom(mapping.creator),
    createTime: dateFrom(mapping.createTime),
    channel: mapping.channel,
    readers: mapping.readers,
    writers: mapping.writers,
    maxParticipants: mapping.maxParticipants,
    dirty: mapping.dirty,
    fencingToken: mapping.fencingToken,
    leaseWaiters: mapping.leaseWaiters,
  };
}

export function mappingChangeFrom(change: proto.WatchMappingsResponse): MappingChange {
  const event = EVENTS[change.event];
  if (event === undefined)
    throw new LeaseholdError('MALFORMED_MESSAGE', `the broker told an unknown event (${change.event})`);
  return { event, mapping: change.mapping === undefined ? null : mappingInfoFrom(change.mapping) };
}

const leaseModeFrom = (mode: proto.LeaseMode): 'shared' | 'exclusive' =>
  mode === proto.LeaseMode.EXCLUSIVE ? 'exclusive' : 'shared';

export const mappingLeasesFrom = (leases: proto.MappingLeases): MappingLeases => ({
  mappingName: leases.mappingName,
  mappingId: leases.mappingId,
  channel: leases.channel,
  dirty: leases.dirty,
  fencingToken: leases.fencingToken,
  holders: leases.holders.map(({ holdId, mode, fencingToken, holder, timeLeftMs, overdue }) => ({
    holdId,
    mode: leaseModeFrom(mode),
    fencingToken,
    holder: holder === undefined ? null : principalFrom(holder),
    timeLeftMs,
    overdue,
  })),
  waiters: leases.waiters.map(({ principal, mode, waitingMs, holdId, position }) => ({
    principal: principalFrom(principal),
    mode: leaseModeFrom(mode),
    waitingMs: Number(waitingMs),
    holdId,
    position,
  })),
});

export function formatFrom(format: proto.FrameFormat | undefined): Required<FrameFormat> {
  return {
    fourcc: format?.fourcc ?? '',
    width: format?.width ?? 0,
    height: format?.height ?? 0,
    strideBytes: format?.strideBytes ?? 0,
    frameRate: { numerator: format?.frameRateNumerator ?? 0, denominator: format?.frameRateDenominator ?? 0 },
    attributes: { ...format?.attributes },
  };
}

export const formatTo = (format: FrameFormat) => ({
  fourcc: format.fourcc,
  width: format.width,
  height: format.height,
  strideBytes: format.strideBytes ?? 0,
  frameRateNumerator: format.frameRate?.numerator ?? 0,
  frameRateDenominator: format.frameRate?.denominator ?? 0,
  attributes: { ...format.attributes },
});

export function channelInfoFrom(channel: proto.Channel | undefined): ChannelInfo {
  const spec = channel?.spec;
  if (channel === undefined || spec === undefined) {
    throw new LeaseholdError('MALFORMED_MESSAGE', 'the broker answered without a channel');
  }
  const mapping = mappingInfoFrom(channel.mapping);
  return {
    name: spec.name,
    format: formatFrom(spec.format),
    slots: spec.slots,
    slotBytes: Number(spec.slotBytes),
    overflow: spec.overflow === proto.Overflow.BLOCK ? 'block' : 'overwrite',
    persistent: mapping.persistent,
    memory: mapping.memory,
    creator: mapping.creator,
    createTime: mapping.createTime,
    published: channel.published,
    newestSequence: channel.newestSequence,
    fencingToken: channel.fencingToken,
    publisher: channel.publisher === undefined ? null : principalFrom(channel.publisher),
    standbys: channel.standbys,
    subscribers: channel.subscribers.map((subscriber) => ({
      principal: principalFrom(subscriber.principal),
      mode: subscriber.mode === proto.SubscribeMode.LATEST ? 'latest' : 'queue',
      maxPins: subscriber.maxPins,
      taken: subscriber.taken,
      lost: subscriber.lost,
    })),
  };
}

export const brokerInfoFrom = (info: proto.GetBrokerInfoResponse): BrokerInfo => ({
  version: info.version,
  pid: info.pid,
  uid: info.uid,
  epoch: info.epoch,
  startTime: dateFrom(info.startTime),
  runtimeDir: info.runtimeDir,
  draining: info.draining,
  memoryQuotaBytes: Number(info.memoryQuotaBytes),
  memoryChargedBytes: Number(info.memoryChargedBytes),
  hugePages: info.hugePages.map((pool) => ({
    pageKind: pageKindFrom(pool.pageKind),
    totalPages: Number(pool.totalPages),
    freePages: Number(pool.freePages),
    reservedPages: Number(pool.reservedPages),
    ourPages: Number(pool.ourPages),
  })),
});
