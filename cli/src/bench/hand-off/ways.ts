/** The ways to hand a payload over that need only Node and our packages, and how often each is measured. */
import type { ViewMode, WaitStrategy } from '@leasehold/client';

export const PAYLOADS = [8, 4_096, 1_048_576, 1920 * 1080 * 4, 3840 * 2160 * 4] as const;

export type TransportName = 'leasehold' | 'atomics' | 'lines' | 'doorbell' | 'net' | 'fifo' | 'grpc' | 'post-message';

export interface Way {
  readonly transport: TransportName;
  /** How both sides wait. `park-sync`: the whole thread sleeps, not its event loop alone. */
  readonly waiting: WaitStrategy | 'park-sync' | 'event-loop';
  /** Of Leasehold only. */
  readonly views?: ViewMode;
  readonly payloads: readonly number[];
  /** What the payload costs: nothing, or time by its length. */
  readonly carries: 'ownership' | 'bytes';
  readonly settings: Readonly<Record<string, string>>;
}

/** The call, and the strategy that it is given. */
const CALLS: Readonly<Record<WaitStrategy | 'park-sync', readonly [call: string, wait: WaitStrategy]>> = {
  spin: ['tryTake() in a loop', 'spin'],
  adaptive: ['await take()', 'adaptive'],
  yield: ['await take()', 'yield'],
  park: ['await take()', 'park'],
  'park-sync': ['takeSync()', 'park'],
};

/** Of a subscriber of Leasehold. */
export const waitOf = ({ waiting }: Pick<Way, 'waiting'>): WaitStrategy =>
  waiting === 'event-loop' ? 'park' : CALLS[waiting][1];

const leasehold = (waiting: keyof typeof CALLS, views: ViewMode): Way => ({
  transport: 'leasehold',
  waiting,
  views,
  payloads: PAYLOADS,
  carries: 'ownership',
  settings: {
    call: CALLS[waiting][0],
    wait: CALLS[waiting][1],
    views,
    overflow: 'overwrite',
    mode: 'queue',
  },
});

const byEventLoop = (
  transport: TransportName,
  settings: Way['settings'],
  payloads: readonly number[] = PAYLOADS,
): Way => ({
  transport,
  waiting: 'event-loop',
  payloads,
  carries: 'bytes',
  settings,
});

export const WAYS: readonly Way[] = [
  leasehold('spin', 'persistent'),
  leasehold('spin', 'fenced'),
  leasehold('adaptive', 'fenced'),
  leasehold('yield', 'fenced'),
  leasehold('park', 'fenced'),
  leasehold('park-sync', 'fenced'),
  {
    transport: 'atomics',
    waiting: 'spin',
    payloads: [8],
    carries: 'ownership',
    settings: { memory: 'two words of a mapping, 128 B apart', call: 'Atomics.store, Atomics.load in a loop' },
  },
  {
    transport: 'lines',
    waiting: 'spin',
    payloads: [4_096],
    carries: 'ownership',
    settings: { lines: 'entry, descriptor with the time, ends of the payload, pin', call: 'Atomics.load in a loop' },
  },
  {
    ...byEventLoop('doorbell', { call: 'sendto and recv of a datagram Unix socket, epoll' }, [8]),
    carries: 'ownership',
  },
  byEventLoop('net', { call: 'socket.write; onread into one buffer', sockets: 'Unix, one each way' }, [
    8,
    64,
    ...PAYLOADS.slice(1),
  ]),
  {
    ...byEventLoop('fifo', { call: 'writeSync and readSync, the thread blocks', pipe: '64 KiB, one each way' }),
    waiting: 'park',
  },
  byEventLoop('grpc', { call: 'bidirectional stream of bytes, Unix socket', window: '16 MiB', serialisation: 'none' }),
  {
    ...byEventLoop('post-message', {
      call: 'postMessage and message, the ArrayBuffer transferred',
      threads: 'two of one process',
    }),
    carries: 'ownership',
  },
  {
    ...byEventLoop('post-message', {
      call: 'postMessage, receiveMessageOnPort in a loop',
      threads: 'two of one process',
    }),
    waiting: 'spin',
    carries: 'ownership',
  },
];

/** Stable; without the payload. */
export const nameOf = ({ transport, waiting, views }: Way): string =>
  [transport, waiting, ...(views === undefined ? [] : [views])].join('/');

export interface Amount {
  readonly warmUp: number;
  readonly roundTrips: number;
}

/** Bytes that one round may carry to and fro where each byte costs. */
const BYTES_PER_ROUND = 160_000_000;

/** How much of a way is measured in one round. */
export function amountOf(way: Pick<Way, 'waiting' | 'carries'>, payloadBytes: number, quick: boolean): Amount {
  const spins = way.waiting === 'spin' || way.waiting === 'adaptive';
  const wanted = spins ? 20_000 : way.waiting === 'yield' ? 2_000 : 500;
  const affordable = way.carries === 'bytes' ? Math.ceil(BYTES_PER_ROUND / payloadBytes) : wanted;
  const roundTrips = Math.max(quick ? 1 : 5, Math.ceil(Math.min(wanted, affordable) / (quick ? 10 : 1)));
  // What spins is short enough for it to matter whether the compiler is done with it, which takes some ten thousand of them.
  return { roundTrips, warmUp: Math.max(1, spins && !quick ? 5 * roundTrips : Math.ceil(roundTrips / 10)) };
}
