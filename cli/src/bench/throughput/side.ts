/** One side of one kind of throughput, a process of its own: `side.js publisher|subscriber KIND`; or what has no other side: `side.js alone`. */
import { type Channel, connect, type Publisher, type Subscriber } from '@leasehold/client';
import { answerQuestions } from '../answering.ts';
import { BATCH, heldAtOnce, type Kind, type OwnKind } from './kinds.ts';
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
  | { readonly do: 'open'; readonly payloadBytes: number }
  /** Asked of both sides at once: `in turn` answers with how long each frame took; otherwise one side says when it began, the other when it ended. */
  | { readonly do: 'run'; readonly payloadBytes: number; readonly leadIn: number; readonly frames: number }
  | { readonly do: 'own'; readonly own: OwnKind; readonly payloadBytes: number; readonly frames: number };

/** What a side has of a channel. */
interface Opened {
  readonly publisher: Publisher | null;
  readonly subscriber: Subscriber | null;
}

/** Of a channel by which the subscriber's side says that it has read a frame. */
const ANSWER_BYTES = 8;

const [role, kindText = 'null'] = process.argv.slice(2);
const kind = JSON.parse(kindText) as Kind | null;
const broker = kind === null ? null : await connect({ name: `bench-${role}` });
const opened = new Map<number, Opened>();
const buffersOf = new Map<number, readonly Float64Array[]>();

/** A channel for frames, and for those that go in turn one for answers. */
async function open(payloadBytes: number): Promise<void> {
  if (broker === null || kind === null) throw new Error('this side is alone');
  const { maxLoans, maxPins } = heldAtOnce(kind);
  const name = `bench/throughput/${kind.name}/${payloadBytes}`;
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
  opened.set(payloadBytes, {
    publisher: (await sends?.openPublisher({ views })) ?? null,
    subscriber: (await takes?.subscribe({ views, maxPins, wait: 'spin' })) ?? null,
  });
}

function run(payloadBytes: number, leadIn: number, frames: number): number | Float64Array | null {
  const { publisher, subscriber } = opened.get(payloadBytes) ?? { publisher: null, subscriber: null };
  const count = leadIn + frames;
  switch (kind?.manner) {
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
    case undefined:
      throw new Error('this side is alone');
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
      return open(question.payloadBytes);
    case 'run':
      return run(question.payloadBytes, question.leadIn, question.frames);
    case 'own':
      return own(question.own, question.payloadBytes, question.frames);
  }
});
