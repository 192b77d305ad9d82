/** Protocol requests as the domain takes them: numbers become names, unspecified becomes the default, unknown is an error. */
import {
  Access,
  BlockBound,
  type ChannelSpec,
  type CreateMappingRequest,
  IfExists,
  type LeaseMode,
  Lifetime,
  Overflow,
  PagePolicy,
  SubscribeMode,
} from '@leasehold/proto';
import type { LockMode } from '@leasehold/shm-core/internal';
import type { SubscribeMode as SubscribeModeName } from '../domain/attachment.ts';
import type { FrameFormat } from '../domain/frame-format.ts';
import {
  type ChannelRequest,
  type IfExists as IfExistsName,
  invalidArgument,
  type MappingRequest,
} from '../domain/specification.ts';
import { BLOCK_BOUND, IF_EXISTS, LEASE_MODE, LIFETIME, nameOf, OVERFLOW, PAGE_POLICY } from '../wire-names.ts';

const NO_FORMAT: FrameFormat = {
  fourcc: '',
  width: 0,
  height: 0,
  strideBytes: 0,
  frameRateNumerator: 0,
  frameRateDenominator: 0,
  attributes: {},
};

export function mappingRequest(request: CreateMappingRequest): MappingRequest {
  const { name, sizeBytes, reserveBytes, maxParticipants } = request;
  return { name, sizeBytes, reserveBytes, maxParticipants, ...memoryWishes(request) };
}

/** @throws {LeaseholdError} INVALID_ARGUMENT */
export function channelRequest(spec: ChannelSpec | undefined): ChannelRequest {
  if (spec === undefined) throw invalidArgument('spec', 'is missing');
  const { name, slotBytes, slots, blockTimeoutMs, maxParticipants, maxLoans, firstSequence } = spec;
  return {
    name,
    slotBytes,
    slots,
    blockTimeoutMs,
    maxParticipants,
    maxLoans,
    firstSequence,
    ...memoryWishes(spec),
    format: formatOf(spec),
    overflow: named('overflow', OVERFLOW, spec.overflow || Overflow.OVERWRITE),
    blockBound: named('block_bound', BLOCK_BOUND, spec.blockBound || BlockBound.TIMEOUT),
  };
}

function formatOf({ format }: ChannelSpec): FrameFormat {
  if (format === undefined) return NO_FORMAT;
  const { fourcc, width, height, strideBytes, frameRateNumerator, frameRateDenominator, attributes } = format;
  return { fourcc, width, height, strideBytes, frameRateNumerator, frameRateDenominator, attributes };
}

type MemoryWishes = Pick<CreateMappingRequest, 'pages' | 'lifetime' | 'locked' | 'numaNode'>;

function memoryWishes({ pages, lifetime, locked, numaNode }: MemoryWishes) {
  return {
    pages: named('pages', PAGE_POLICY, pages || PagePolicy.AUTO),
    lifetime: named('lifetime', LIFETIME, lifetime || Lifetime.LAST_ATTACHMENT),
    locked,
    numaNode: numaNode ?? null,
  };
}

export const ifExistsOf = (ifExists: IfExists): IfExistsName =>
  named('if_exists', IF_EXISTS, ifExists || IfExists.FAIL);

const ACCESS = { read: Access.READ, write: Access.WRITE } as const;
/** @throws {LeaseholdError} INVALID_ARGUMENT */
export const accessOf = (access: Access): 'read' | 'write' => named('access', ACCESS, access);

const SUBSCRIBE_MODE: Record<SubscribeModeName, SubscribeMode> = {
  latest: SubscribeMode.LATEST,
  queue: SubscribeMode.QUEUE,
};
/** @throws {LeaseholdError} INVALID_ARGUMENT */
export const subscribeModeOf = (mode: SubscribeMode): SubscribeModeName => named('mode', SUBSCRIBE_MODE, mode);

/** @throws {LeaseholdError} INVALID_ARGUMENT */
export const leaseModeOf = (mode: LeaseMode): LockMode => named('mode', LEASE_MODE, mode);

function named<Name extends string>(field: string, table: Readonly<Record<Name, number>>, value: number): Name {
  const name = nameOf(table, value);
  if (name !== undefined) return name;
  throw invalidArgument(field, value === 0 ? 'must be stated' : `is ${value}, which this release does not know`);
}
