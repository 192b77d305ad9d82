/** One end of all hand-offs, a process of its own: `node worker.ts sender|receiver DIRECTORY`. It does what it is asked over IPC. */
import { connect } from '@leasehold/client';
import { serveQuestions } from '../support/worker-side.ts';
import { type ControlCall, timeCalls } from './control-plane.ts';
import { openStreamReceiver, openStreamSender } from './grpc-stream.ts';
import type { Bench, Receiver, Sender } from './hand-off.ts';
import { openChannelReceiver, openChannelSender } from './shared-memory.ts';
import { openSocketReceiver, openSocketSender } from './unix-socket.ts';
import type { Transport, Variant } from './variants.ts';

export type Question =
  | { readonly do: 'open'; readonly variant: Variant }
  | { readonly do: 'run'; readonly id: string; readonly count: number }
  | { readonly do: 'call'; readonly call: ControlCall; readonly count: number };

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
const runs = new Map<string, (count: number) => Promise<Float64Array>>();

async function open(variant: Variant): Promise<Sender['memory']> {
  if (role === 'sender') {
    const sender = await SENDERS[variant.transport](bench, variant);
    runs.set(variant.id, (count) => sender.send(count));
    return sender.memory;
  }
  const receiver = await RECEIVERS[variant.transport](bench, variant);
  runs.set(variant.id, (count) => receiver.receive(count));
  return null;
}

function run(id: string, count: number): Promise<Float64Array> {
  const handOffs = runs.get(id);
  if (handOffs === undefined) throw new Error(`${id} was not opened`);
  return handOffs(count);
}

process.once('disconnect', () => process.exit(0));
serveQuestions((question: Question) => {
  if (question.do === 'open') return open(question.variant);
  if (question.do === 'run') return run(question.id, question.count);
  return timeCalls(bench.broker, question.call, question.count);
});
