/**
 * What `ls`, `inspect` and `watch` say about a mapping. The JSON shape is a contract: camelCase, units in the names, u64 as
 * decimal strings, times in ISO 8601; `channel` is null for a mapping that is no channel.
 */
import type { Broker, ChannelInfo, FrameFormat, MappingInfo } from '@leasehold/client';
import { formatBytes, printable } from '../program/output.ts';

export type ChannelSummary = Pick<
  ChannelInfo,
  | 'format'
  | 'slots'
  | 'slotBytes'
  | 'overflow'
  | 'published'
  | 'fencingToken'
  | 'publisher'
  | 'standbys'
  | 'subscribers'
>;

export interface MappingSummary extends Omit<MappingInfo, 'channel'> {
  readonly channel: ChannelSummary | null;
}

export function summarize(mapping: MappingInfo, channel: ChannelInfo | null): MappingSummary {
  return { ...mapping, channel: channel === null ? null : channelSummary(channel) };
}

/** Everything with that prefix, by name. A channel that goes between two questions counts as gone. */
export async function listSummaries(
  broker: Broker,
  options: { prefix?: string; signal: AbortSignal },
): Promise<MappingSummary[]> {
  const [mappings, channels] = await Promise.all([broker.listMappings(options), broker.listChannels(options)]);
  const channelByName = new Map(channels.map((channel) => [channel.name, channel]));
  return mappings
    .filter((mapping) => !mapping.channel || channelByName.has(mapping.name))
    .map((mapping) => summarize(mapping, channelByName.get(mapping.name) ?? null))
    .sort((left, right) => (left.name < right.name ? -1 : 1));
}

/** @throws LeaseholdError MAPPING_NOT_FOUND */
export async function findSummary(broker: Broker, name: string, signal: AbortSignal): Promise<MappingSummary> {
  const { info } = await broker.mapping(name, { signal });
  if (!info.channel) return summarize(info, null);
  const channel = await broker.channel(name, { signal });
  return summarize(info, await channel.info({ signal }));
}

/** For people, for example `1920×1080 RGBA 60/s`; what came from elsewhere cannot steer the terminal. */
export function formatText(format: FrameFormat): string {
  const parts: string[] = [];
  if (format.width > 0 && format.height > 0) parts.push(`${format.width}×${format.height}`);
  parts.push(format.fourcc.trim() === '' ? 'bytes' : printable(format.fourcc.trim()));
  const { numerator, denominator } = format.frameRate ?? { numerator: 0, denominator: 0 };
  if (numerator > 0 && denominator > 0) parts.push(`${Number((numerator / denominator).toFixed(3))}/s`);
  return parts.join(' ');
}

/** For people, for example `hugetlb-2m` or `base (POOL_EXHAUSTED)`. */
export function pagesText({ memory }: Pick<MappingInfo, 'memory'>): string {
  return memory.fallbackReason === null ? memory.pageKind : `${memory.pageKind} (${memory.fallbackReason})`;
}

/** For people, for example `cameras/front  channel, 66.4 MiB, hugetlb-2m pages`. */
export function mappingText(mapping: MappingInfo): string {
  const kind = mapping.channel ? 'channel' : 'mapping';
  const { payloadBytes, mappedBytes, reservedBytes } = mapping.memory;
  // Of a channel, headers and all slots.
  const size = formatBytes(mapping.channel ? mappedBytes : payloadBytes);
  const room = reservedBytes === mappedBytes ? '' : ` of ${formatBytes(reservedBytes)}`;
  return `${printable(mapping.name)}  ${kind}, ${size}${room}, ${pagesText(mapping)} pages`;
}

function channelSummary(channel: ChannelInfo): ChannelSummary {
  const { format, slots, slotBytes, overflow, published, fencingToken, publisher, standbys, subscribers } = channel;
  return { format, slots, slotBytes, overflow, published, fencingToken, publisher, standbys, subscribers };
}
