/** What is asked of the broker, and of a bare grpc-js server beside it. Each lane asks one thing at a time; so many lanes are so many in flight. */

export const IN_FLIGHT = [1, 16, 64] as const;
export type InFlight = (typeof IN_FLIGHT)[number];

/** `who` answers; `note`: what has to be known to read the figure. */
export interface CallKind {
  readonly who: 'leasehold' | 'grpc-js';
  readonly note: string;
}

export const CALLS = {
  GetBrokerInfo: { who: 'leasehold', note: 'Broker.info()' },
  GetMapping: { who: 'leasehold', note: 'Broker.mapping()' },
  CreateMapping: {
    who: 'leasehold',
    note: '4 KiB, Broker.createMapping(); deleted again in between, which is in flight, too',
  },
  DeleteMapping: { who: 'leasehold', note: 'of 4 KiB; created again in between' },
  'AttachMapping+Claim': { who: 'leasehold', note: 'Mapping.attach(): descriptors sent and mapped; closed in between' },
  'OpenSubscriber+Claim': {
    who: 'leasehold',
    note: 'Channel.subscribe(): descriptors sent and mapped; closed in between',
  },
  'AcquireLease+ReleaseLease': {
    who: 'leasehold',
    note: 'both calls, one after the other, of a session that maps nothing; exclusive, nobody in the way',
  },
  'one-call': { who: 'grpc-js', note: 'a bare unary call: 20 B there, 120 B back, no protobuf' },
  'two-calls': {
    who: 'grpc-js',
    note: 'two bare unary calls, one after the other, of as many bytes as AcquireLease and ReleaseLease',
  },
} as const satisfies Readonly<Record<string, CallKind>>;
export type CallId = keyof typeof CALLS;
export const CALL_IDS = Object.keys(CALLS) as CallId[];

/** Mappings and channels that are there all the while: one for each lane. */
export const STANDING = 'bench/control/standing';
export const BYTES = 4_096;

/** Of one round. */
export const samplesOf = (inFlight: number, quick: boolean): number => (quick ? 4 + inFlight : 100 + 5 * inFlight);
