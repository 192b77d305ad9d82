/**
 * What mappings and channels are created with: from what a caller asked, defaults filled in and every number checked, to what
 * is compared when a name is taken already. u64 fields come in as bigint and leave as exact numbers.
 */
import { checkName, LeaseholdError } from '@leasehold/proto';
import { channelGeometry, MAX_PARTICIPANTS, MAX_SLOTS } from '@leasehold/shm-core/internal';
import { checkFrameFormat, type FrameFormat, slotBytesFor } from './frame-format.ts';

export type Pages = 'auto' | 'require' | 'never';
export type Lifetime = 'last-attachment' | 'persistent';
export type IfExists = 'fail' | 'open-if-same';

interface CommonSpecification {
  readonly name: string;
  readonly pages: Pages;
  readonly lifetime: Lifetime;
  readonly maxParticipants: number;
  /** Never swapped out. */
  readonly locked: boolean;
  /** Whose memory is preferred; null: nobody's. */
  readonly numaNode: number | null;
}

export interface MappingSpecification extends CommonSpecification {
  readonly kind: 'mapping';
  readonly payloadBytes: number;
  /** What it may grow to, B: at least `payloadBytes`. */
  readonly reserveBytes: number;
}

export interface ChannelSpecification extends CommonSpecification {
  readonly kind: 'channel';
  readonly format: FrameFormat;
  readonly slotBytes: number;
  readonly slots: number;
  readonly overflow: 'overwrite' | 'block';
  readonly blockBound: 'timeout' | 'detach';
  readonly blockTimeoutMs: number;
  readonly maxLoans: number;
  readonly firstSequence: number;
}

export type Specification = MappingSpecification | ChannelSpecification;

export type MappingRequest = Omit<MappingSpecification, 'kind' | 'payloadBytes' | 'reserveBytes'> & {
  readonly sizeBytes: bigint;
  readonly reserveBytes: bigint;
};
export type ChannelRequest = Omit<ChannelSpecification, 'kind' | 'slotBytes' | 'firstSequence'> & {
  readonly slotBytes: bigint;
  readonly firstSequence: bigint;
};

const DEFAULT_PARTICIPANTS = 64;
const DEFAULT_SLOTS = 8;
const SLOTS_MIN = 3;
const DEFAULT_BLOCK_TIMEOUT_MS = 5000;
const BLOCK_TIMEOUT_MS_MAX = 2 ** 31 - 1;
const FIRST_SEQUENCE_LIMIT = 2n ** 52n;
/** Beyond what any machine can address; rounding it up to pages stays exact. */
const SIZE_LIMIT = 2n ** 52n;

/** @throws {LeaseholdError} INVALID_NAME, INVALID_SIZE, INVALID_ARGUMENT */
export function mappingSpecification(request: MappingRequest): MappingSpecification {
  const { sizeBytes, reserveBytes, ...common } = request;
  checkName(request.name);
  const payloadBytes = payloadSize(sizeBytes);
  return {
    ...common,
    kind: 'mapping',
    payloadBytes,
    reserveBytes: Math.max(payloadBytes, wholeBytes('reserve_bytes', reserveBytes)),
    maxParticipants: inRange('max_participants', request.maxParticipants || DEFAULT_PARTICIPANTS, 1, MAX_PARTICIPANTS),
  };
}

/** A payload's size as a request says it, B. @throws {LeaseholdError} INVALID_SIZE */
export function payloadSize(sizeBytes: bigint): number {
  if (sizeBytes === 0n) throw invalidSize('size_bytes', sizeBytes);
  return wholeBytes('size_bytes', sizeBytes);
}

/** @throws {LeaseholdError} INVALID_NAME, INVALID_SIZE, INVALID_FORMAT, INVALID_ARGUMENT */
export function channelSpecification(request: ChannelRequest): ChannelSpecification {
  checkName(request.name);
  checkFrameFormat(request.format);
  const slots = inRange('slots', request.slots || DEFAULT_SLOTS, SLOTS_MIN, MAX_SLOTS);
  const firstSequence = request.firstSequence || 1n;
  if (firstSequence >= FIRST_SEQUENCE_LIMIT) {
    throw invalidArgument('first_sequence', `is ${firstSequence}, and must be below 2^52`);
  }
  const specification: ChannelSpecification = {
    ...request,
    kind: 'channel',
    slots,
    slotBytes: slotBytesFor(request.format, wholeBytes('slot_bytes', request.slotBytes)),
    maxParticipants: inRange('max_participants', request.maxParticipants || DEFAULT_PARTICIPANTS, 1, MAX_PARTICIPANTS),
    maxLoans: inRange('max_loans', request.maxLoans || 1, 1, slots - 2),
    blockTimeoutMs: inRange(
      'block_timeout_ms',
      request.blockTimeoutMs || DEFAULT_BLOCK_TIMEOUT_MS,
      1,
      BLOCK_TIMEOUT_MS_MAX,
    ),
    firstSequence: Number(firstSequence),
  };
  checkAddressable(specification);
  return specification;
}

function checkAddressable(specification: ChannelSpecification): void {
  try {
    geometryOf(specification);
  } catch (error) {
    throw notAddressable(specification, error);
  }
}

const notAddressable = ({ slots, slotBytes }: ChannelSpecification, cause: unknown): LeaseholdError =>
  new LeaseholdError('INVALID_SIZE', `${slots} slots of ${slotBytes} B cannot be laid out.`, { cause });

/** How a channel lies in its data segment. */
export function geometryOf({ slots, slotBytes, maxLoans, overflow }: ChannelSpecification) {
  return channelGeometry({ slots, slotBytes, maxLoans, block: overflow === 'block' });
}

/** @throws {LeaseholdError} SPEC_MISMATCH, saying what differs */
export function requireSame(existing: Specification, wanted: Specification): void {
  const differing: Record<string, string> = {};
  const there: Record<string, unknown> = { ...existing };
  const asked: Record<string, unknown> = { ...wanted };
  for (const key of new Set([...Object.keys(there), ...Object.keys(asked)])) {
    const [is, want] = [canonical(there[key]), canonical(asked[key])];
    if (is !== want) differing[key] = `is ${is}, asked for ${want}`;
  }
  if (Object.keys(differing).length === 0) return;
  const said = Object.entries(differing).map(([key, text]) => `${key} ${text}`);
  throw new LeaseholdError(
    'SPEC_MISMATCH',
    `${JSON.stringify(existing.name)} exists and differs: ${said.join('; ')}. Ask for the same, open it as it is, or delete it first.`,
    {
      metadata: { name: existing.name, ...differing },
    },
  );
}

/** One text for equal values, whatever the order of keys. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) =>
    inner !== null && typeof inner === 'object' && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
}

function wholeBytes(field: string, value: bigint): number {
  if (value < 0n || value >= SIZE_LIMIT) throw invalidSize(field, value);
  return Number(value);
}

const invalidSize = (field: string, value: bigint): LeaseholdError =>
  new LeaseholdError('INVALID_SIZE', `${field} is ${value} B; it must be at least 1 B and below 2^52 B.`, {
    metadata: { field, requestedBytes: String(value) },
  });

/** @throws {LeaseholdError} INVALID_ARGUMENT */
export function inRange(field: string, value: number, min: number, max: number): number {
  if (Number.isInteger(value) && value >= min && value <= max) return value;
  throw invalidArgument(field, `is ${value}, and must be ${min} to ${max}`);
}

/** @returns the error for one wrong field of a request */
export function invalidArgument(field: string, problem: string): LeaseholdError {
  return new LeaseholdError('INVALID_ARGUMENT', `${field} ${problem}.`, { metadata: { field } });
}
