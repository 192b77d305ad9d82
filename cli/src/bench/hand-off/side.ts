/** One side of hand-offs, a process of its own: `side.js leader|follower`. It is one way's alone, but in a quick run. */
import { connect } from '@leasehold/client';
import { answerQuestions } from '../answering.ts';
import { ATOMICS } from './atomics-ends.ts';
import { DOORBELL } from './doorbell-ends.ts';
import type { EndOptions, Follower, Leader, Transport } from './ends.ts';
import { FIFO } from './fifo-ends.ts';
import { GRPC } from './grpc-ends.ts';
import { LEASEHOLD } from './leasehold-ends.ts';
import { LINES } from './lines-ends.ts';
import { NET } from './net-ends.ts';
import { POST_MESSAGE } from './post-message-ends.ts';
import type { TransportName, Way } from './ways.ts';

export type SideQuestion =
  | {
      readonly do: 'open';
      readonly way: Way;
      readonly payloadBytes: number;
      readonly directory: string;
      readonly farCore: number | null;
    }
  /** Answered with the duration of each round trip, ns; asked at the same time as the other side's `follow`. */
  | { readonly do: 'lead'; readonly warmUp: number; readonly roundTrips: number }
  | { readonly do: 'follow'; readonly count: number }
  | { readonly do: 'close' };

const TRANSPORTS: Readonly<Record<TransportName, Transport>> = {
  leasehold: LEASEHOLD,
  atomics: ATOMICS,
  lines: LINES,
  doorbell: DOORBELL,
  net: NET,
  fifo: FIFO,
  grpc: GRPC,
  'post-message': POST_MESSAGE,
};

const [role] = process.argv.slice(2);
const broker = await connect({ name: `bench-${role}` });
let leader: Leader | null = null;
let follower: Follower | null = null;

async function open(options: Omit<EndOptions, 'broker'>): Promise<void> {
  const transport = TRANSPORTS[options.way.transport];
  if (role === 'leader') leader = await transport.openLeader({ broker, ...options });
  else follower = await transport.openFollower({ broker, ...options });
}

async function lead(warmUp: number, roundTrips: number): Promise<Float64Array> {
  if (leader === null) throw new Error('nothing was opened here to lead');
  return (await leader.lead(warmUp + roundTrips)).subarray(warmUp);
}

async function close(): Promise<void> {
  await (leader ?? follower)?.close();
  leader = null;
  follower = null;
}

answerQuestions<SideQuestion>((question) => {
  switch (question.do) {
    case 'open':
      return open(question);
    case 'lead':
      return lead(question.warmUp, question.roundTrips);
    case 'follow':
      return follower?.follow(question.count);
    case 'close':
      return close();
  }
});
