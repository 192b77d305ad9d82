/** Values of shared memory and of the domain as the protocol numbers them, both ways. An unspecified number means the default. */
import {
  BlockBound,
  FallbackReason,
  IfExists,
  LeaseMode,
  Lifetime,
  NumaPlacement,
  Overflow,
  PageKind,
  PagePolicy,
} from '@leasehold/proto';
import type {
  FallbackReason as GrantedFallback,
  GrantedSegment,
  LockMode,
  SegmentGrant,
} from '@leasehold/shm-core/internal';
import type {
  ChannelSpecification,
  IfExists as IfExistsName,
  Lifetime as LifetimeName,
  Pages,
} from './domain/specification.ts';

export const PAGE_KIND: Record<GrantedSegment['pageKind'], PageKind> = {
  base: PageKind.BASE,
  'transparent-2m': PageKind.TRANSPARENT_2M,
  'hugetlb-2m': PageKind.HUGETLB_2M,
  'hugetlb-1g': PageKind.HUGETLB_1G,
  'windows-large': PageKind.WINDOWS_LARGE,
};

export const FALLBACK_REASON: Record<GrantedFallback, FallbackReason> = {
  DISABLED: FallbackReason.DISABLED,
  SMALLER_THAN_PAGE: FallbackReason.SMALLER_THAN_PAGE,
  UNSUPPORTED: FallbackReason.UNSUPPORTED,
  POOL_EXHAUSTED: FallbackReason.POOL_EXHAUSTED,
  NO_PRIVILEGE: FallbackReason.NO_PRIVILEGE,
  QUOTA: FallbackReason.QUOTA,
};

export const NUMA_PLACEMENT: Record<NonNullable<SegmentGrant['numa']>, NumaPlacement> = {
  preferred: NumaPlacement.PREFERRED,
  unsupported: NumaPlacement.UNSUPPORTED,
};

export const PAGE_POLICY: Record<Pages, PagePolicy> = {
  auto: PagePolicy.AUTO,
  require: PagePolicy.REQUIRE,
  never: PagePolicy.NEVER,
};
export const LIFETIME: Record<LifetimeName, Lifetime> = {
  'last-attachment': Lifetime.LAST_ATTACHMENT,
  persistent: Lifetime.PERSISTENT,
};
export const IF_EXISTS: Record<IfExistsName, IfExists> = {
  fail: IfExists.FAIL,
  'open-if-same': IfExists.OPEN_IF_SAME,
};
export const OVERFLOW: Record<ChannelSpecification['overflow'], Overflow> = {
  overwrite: Overflow.OVERWRITE,
  block: Overflow.BLOCK,
};
export const BLOCK_BOUND: Record<ChannelSpecification['blockBound'], BlockBound> = {
  timeout: BlockBound.TIMEOUT,
  detach: BlockBound.DETACH,
};

export const LEASE_MODE: Record<LockMode, LeaseMode> = {
  shared: LeaseMode.SHARED,
  exclusive: LeaseMode.EXCLUSIVE,
};

/** The name for a number; undefined for a number that this release does not know. */
export function nameOf<Name extends string>(table: Readonly<Record<Name, number>>, value: number): Name | undefined {
  for (const name in table) if (table[name] === value) return name;
  return undefined;
}
