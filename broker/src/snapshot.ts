/**
 * What the broker tells its onlookers (metrics, `ls`, the dashboard) about itself: plain values, copied out at one moment.
 *
 * Counters ending in `Total` never fall: what a departed publisher or subscriber had counted stays in them.
 */
import type { GrantedSegment } from '@leasehold/shm-core/internal';
import type { QuotaDimension } from './domain/quotas.ts';
import type { PoolPageKind } from './runtime/huge-page-figures.ts';

/** The process at the other end of a session, as the kernel names it, and the name it gave itself. */
export interface PeerSnapshot {
  readonly pid: number;
  readonly uid: number;
  readonly name: string;
}

export interface MappingSnapshot {
  readonly name: string;
  readonly id: string;
  /** Whether the mapping is the memory of a channel. */
  readonly channel: boolean;
  readonly pageKind: GrantedSegment['pageKind'];
  /** Address range of the data segment, B. */
  readonly mappedBytes: number;
  readonly payloadBytes: number;
  readonly readers: number;
  readonly writers: number;
}

export interface SubscriberSnapshot extends PeerSnapshot {
  readonly mode: 'queue' | 'latest';
  readonly taken: number;
  readonly lost: number;
}

export interface ChannelSnapshot {
  readonly name: string;
  /** Frames published since the channel was created. */
  readonly published: number;
  readonly publisher: PeerSnapshot | null;
  /** Publishers queued behind the present one. */
  readonly standbys: number;
  readonly subscribers: readonly SubscriberSnapshot[];
  readonly takenTotal: number;
  readonly lostTotal: number;
}

export interface MemorySnapshot {
  readonly quotaBytes: number;
  readonly chargedBytes: number;
  /** Promised to those who wait for it, and not populated yet, B. */
  readonly populatingBytes: number;
}

/** How much of something all users together have taken, and may take. */
export interface QuotaSnapshot {
  readonly quota: QuotaDimension;
  readonly used: number;
  /** Infinity: there is no limit. */
  readonly limit: number;
}

/** One of the kernel's pools of large pages. */
export interface HugePagesSnapshot {
  readonly pageKind: PoolPageKind;
  readonly pageBytes: number;
  readonly totalPages: number;
  readonly freePages: number;
  /** Promised and not taken yet: counted as free, too. */
  readonly reservedPages: number;
  /** In mappings of this broker. */
  readonly ourPages: number;
}

export interface BrokerSnapshot {
  readonly sessions: number;
  readonly mappings: readonly MappingSnapshot[];
  readonly channels: readonly ChannelSnapshot[];
  readonly memory: MemorySnapshot;
  readonly quotas: readonly QuotaSnapshot[];
  /** Of each size that the kernel has, as it was at most a second ago. */
  readonly hugePages: readonly HugePagesSnapshot[];
  /** 2 MiB pages that the broker answers for: it gives them back when it ends. */
  readonly hugePagesAdded: number;
  readonly draining: boolean;
}

export interface ReadinessCheck {
  readonly name: string;
  readonly ok: boolean;
  /** For people: what was found, and if it failed what to do. */
  readonly detail: string;
}

export interface Readiness {
  /** Whether every check is ok. */
  readonly ready: boolean;
  readonly checks: readonly ReadinessCheck[];
}
