/** What the ids of hand-offs say, taken apart, and what readers call it. */
import type { Report, Result } from 'leasehold/bench';

/** One way of handing over: everything of an id but the payload. */
export interface Way {
  readonly who: string;
  readonly waiting: string;
  /** Of Leasehold only. */
  readonly views: string | null;
}

/** Of `hand-off/WHO/WAITING[/VIEWS]/BYTES`; null: no such id. */
export function partsOf(id: string): (Way & { readonly payloadBytes: number }) | null {
  const [, who, waiting, views, bytes] =
    /^hand-off\/([^/]+)\/([^/]+)(?:\/([^/]+))?\/([0-9]+)$/.exec(id)?.map((part) => part as string | undefined) ?? [];
  if (who === undefined || waiting === undefined) return null;
  return { who, waiting, views: views ?? null, payloadBytes: Number(bytes) };
}

export const handOffId = ({ who, waiting, views }: Way, payloadBytes: number): string =>
  ['hand-off', who, waiting, ...(views === null ? [] : [views]), payloadBytes].join('/');

/** All ways of a report, in its order. */
export function waysOf({ results }: Report): readonly Way[] {
  const ways = new Map<string, Way>();
  for (const { id } of results) {
    const parts = partsOf(id);
    if (parts === null) continue;
    const { who, waiting, views } = parts;
    ways.set(handOffId(parts, 0), { who, waiting, views });
  }
  return [...ways.values()];
}

const NAMES: Readonly<Record<string, string>> = {
  leasehold: 'Leasehold',
  atomics: 'bare Atomics',
  lines: 'bare cache lines',
  doorbell: 'bare doorbell',
  'c-atomics': 'C, bare atomics',
  'c-futex': 'C, bare futex',
  'c-eventfd': 'C, bare eventfd',
  iceoryx: 'iceoryx 2.0.3, C++',
  zeromq: 'ZeroMQ',
  net: 'Unix socket (net)',
  fifo: 'named pipe',
  grpc: 'gRPC stream (grpc-js)',
  'post-message': 'postMessage',
};

export const nameOf = (who: string): string => NAMES[who] ?? who;

/** Of the column that says how both sides wait. */
export const waitingText = (waiting: string): string => (waiting === 'event-loop' ? 'event loop' : waiting);

/** Who, and what tells its variants apart. */
export const wayName = ({ who, views }: Way): string =>
  views === null ? nameOf(who) : `${nameOf(who)}, ${views} views`;

/** Whether a side asks again and again, instead of sleeping. */
export const spins = ({ waiting }: Way): boolean => waiting === 'spin' || waiting === 'yield';

/** Where nothing is moved but what shows that something was: what the hardware, and the kernel, allow. */
export const isLimit = ({ who }: Pick<Result, 'who'>): boolean => LIMITS.has(who);

/** The payload with which a way stands beside others that carry `payloadBytes`: of a limit it is the same, whatever they carry. */
export const payloadFor = ({ who }: Way, payloadBytes: number): number => LIMITS.get(who)?.payloadBytes ?? payloadBytes;

/** What a limit moves, for its row. */
export const limitText = ({ who }: Way): string | null => LIMITS.get(who)?.moves ?? null;

const ONE_WORD = { payloadBytes: 8, moves: 'one word' };

const LIMITS: ReadonlyMap<string, { readonly payloadBytes: number; readonly moves: string }> = new Map([
  ['atomics', ONE_WORD],
  ['lines', { payloadBytes: 4_096, moves: 'of a frame' }],
  ['doorbell', ONE_WORD],
  ['c-atomics', ONE_WORD],
  ['c-futex', ONE_WORD],
  ['c-eventfd', ONE_WORD],
]);
