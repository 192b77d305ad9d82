/** One side of throughput, a process of its own: `side.js publisher|subscriber`; or what has no other side: `side.js alone`. It is one kind's alone, but in a quick run. */
import { type Channel, connect, type Publisher, type Subscriber } from '@leasehold/client';
import { answerQuestions } from '../answering.ts';
import { BATCH, heldAtOnce, idOf, type Kind, type OwnKind } from './kinds.ts';
import {
  copy,
  makeBuffers,
  publishAtOnce,
  publishInTurn,
  takeAtOnce,
  takeInTurn,
  writeAndRead,
} from './large-frames.ts';
import { publishInBatches, publishOneByOne, takeInBatches, takeOneByOne } from './small-frames.ts';

export type ThroughputQuestion =
  | { readonly do: 'open'; readonly kind: Kind; readonly payloadBytes: number }
  /** Asked of both sides at once: `in turn` answers with how long each frame took; otherwise one side says when it began, the other when it ended. */
  | ({ readonly do: 'run' } & Run)
  | { readonly do: 'own'; readonly own: OwnKind; readonly payloadBytes: number; readonly frames: number };

interface Run {
  readonly kind: Kind;
  readonly payloadBytes: number;
  /** Frames before those that count. */
  readonly leadIn: number;
  readonly frames: number;
}

/** What a side has of a channel. */
interface Opened {
  readonly publisher: Publisher | null;
  readonly subscriber: Subscriber | null;
}

/** Of a channel by which the subscriber's side says that it has read a frame. */
const ANSWER_BYTES = 8;

const [role] = process.argv.slice(2);
const broker = role === 'alone' ? null : await connect({ name: `bench-${role}` });
const opened = new Map<string, Opened>();
const buffersOf = new Map<number, readonly Float64Array[]>();

/** A channel for frames, and for those that go in turn one for answers. */
async function open(kind: Kind, payloadBytes: number): Promise<void> {
  if (broker === null) throw new Error('this side is alone');
  const { maxLoans, maxPins } = heldAtOnce(kind);
  const name = `bench/${idOf(kind, payloadBytes)}`;
  const channelOf = (direction: string, slotBytes: number): Promise<Channel> =>
    broker.createChannel(`${name}/${direction}`, {
      slotBytes,
      slots: kind.slots,
      maxLoans,
      overflow: 'block',
      ifExists: 'open-if-same',
    });
  const out = await channelOf('out', payloadBytes);
  const back = kind.manner === 'in turn' ? await channelOf('back', ANSWER_BYTES) : null;
  const { views } = kind;
  const [sends, takes] = role === 'publisher' ? [out, back] : [back, out];
  opened.set(idOf(kind, payloadBytes), {
    publisher: (await sends?.openPublisher({ views })) ?? null,
    subscriber: (await takes?.subscribe({ views, maxPins, wait: 'spin' })) ?? null,
  });
}

function run({ kind, payloadBytes, leadIn, frames }: Run): number | Float64Array | null {
  const { publisher = null, subscriber = null } = opened.get(idOf(kind, payloadBytes)) ?? {};
  const count = leadIn + frames;
  switch (kind.manner) {
    case 'one by one':
      if (role === 'publisher') return publishOneByOne(there(publisher), leadIn, frames);
      return takeOneByOne(there(subscriber), count, payloadBytes);
    case 'in batches':
      if (role === 'publisher') return publishInBatches(there(publisher), BATCH, leadIn, frames);
      return takeInBatches(there(subscriber), BATCH, count, payloadBytes);
    case 'at once':
      return role === 'publisher'
        ? publishAtOnce(there(publisher), leadIn, frames)
        : takeAtOnce(there(subscriber), count);
    case 'in turn':
      if (role === 'publisher') return publishInTurn(there(publisher), there(subscriber), count).subarray(leadIn);
      takeInTurn(there(subscriber), there(publisher), count);
      return null;
  }
}

function there<T>(end: T | null): T {
  if (end === null) throw new Error('nothing was opened here for frames of this size');
  return end;
}

function own(what: OwnKind, payloadBytes: number, frames: number): Float64Array {
  const buffers = buffersOf.get(payloadBytes) ?? makeBuffers(payloadBytes);
  buffersOf.set(payloadBytes, buffers);
  return what === 'copied' ? copy(buffers, frames) : writeAndRead(buffers, frames);
}

answerQuestions<ThroughputQuestion>((question) => {
  switch (question.do) {
    case 'open':
      return open(question.kind, question.payloadBytes);
    case 'run':
      return run(question);
    case 'own':
      return own(question.own, question.payloadBytes, question.frames);
  }
});
