/** One end of all hand-offs, or a holder of leases to be killed, a process of its own: `node worker.ts sender|receiver|victim DIRECTORY`. It does what it is asked over IPC. */
import { connect } from '@leasehold/client';
import { serveQuestions } from '../support/worker-side.ts';
import { type ControlCall, timeCalls } from './control-plane.ts';
import { openStreamReceiver, openStreamSender } from './grpc-stream.ts';
import type { Bench, Receiver, Sender } from './hand-off.ts';
import { type LeaseQuestion, LeaseSide } from './lease-side.ts';
import { openChannelReceiver, openChannelSender } from './shared-memory.ts';
import { openSocketReceiver, openSocketSender } from './unix-socket.ts';
import type { Transport, Variant } from './variants.ts';

export type Question =
  | { readonly do: 'open'; readonly variant: Variant }
  | { readonly do: 'send'; readonly id: string; readonly count: number }
  /** Answered when the receiver waits for what is sent next; `collect` asks what came of it. */
  | { readonly do: 'expect'; readonly id: string; readonly count: number }
  | { readonly do: 'collect' }
  | { readonly do: 'call'; readonly call: ControlCall; readonly count: number }
  | LeaseQuestion;

const SENDERS: Readonly<Record<Transport, (bench: Bench, variant: Variant) => Promise<Sender>>> = {
  'shared-memory': openChannelSender,
  'unix-socket': openSocketSender,
  'grpc-stream': openStreamSender,
};
const RECEIVERS: Readonly<Record<Transport, (bench: Bench, variant: Variant) => Promise<Receiver>>> = {
  'shared-memory': openChannelReceiver,
  'unix-socket': openSocketReceiver,
  'grpc-stream': openStreamReceiver,
};

const [role, directory = ''] = process.argv.slice(2);
const bench: Bench = { broker: await connect({ name: `bench-${role}` }), directory };
const leases = new LeaseSide(bench.broker);
const senders = new Map<string, Sender>();
const receivers = new Map<string, Receiver>();
let received: Promise<Float64Array> | null = null;

async function open(variant: Variant): Promise<Sender['memory']> {
  if (role === 'sender') {
    const sender = await SENDERS[variant.transport](bench, variant);
    senders.set(variant.id, sender);
    return sender.memory;
  }
  receivers.set(variant.id, await RECEIVERS[variant.transport](bench, variant));
  return null;
}

function expect(id: string, count: number): void {
  received = opened(receivers, id).receive(count);
  // Whoever collects it is told.
  received.catch(() => undefined);
}

function opened<T>(ends: ReadonlyMap<string, T>, id: string): T {
  const end = ends.get(id);
  if (end === undefined) throw new Error(`${id} was not opened here`);
  return end;
}

function answer(question: Question): unknown {
  switch (question.do) {
    case 'open':
      return open(question.variant);
    case 'send':
      return opened(senders, question.id).send(question.count);
    case 'expect':
      return expect(question.id, question.count);
    case 'collect':
      return received;
    case 'call':
      return timeCalls(bench.broker, question.call, question.count);
    default:
      return leases.answer(question);
  }
}

process.once('disconnect', () => process.exit(0));
serveQuestions(answer);
