/** The publisher, or one subscriber, of all cases of fan-out: `side.js publisher`, `side.js subscriber PLACE`. */
import { connect, type Frame, monotonicNs, type Publisher, type Subscriber } from '@leasehold/client';
import { answerQuestions } from '../answering.ts';
import { checkMark, LOOKS_MAX, nothingCame } from '../hand-off/ends.ts';
import { type Marks, openMarks } from '../marks.ts';
import { type HeldByAll, sendSpinning, sendToSleepers } from '../sending.ts';
import { COUNT_MAX, type FanOutCase, idOf, MAX_PINS, PAYLOAD_BYTES, slotsOf } from './cases.ts';

export type FanOutQuestion =
  | { readonly do: 'open'; readonly of: FanOutCase }
  /** Of the publisher: answered with how long each frame took to the last subscriber, ns. */
  | { readonly do: 'send'; readonly of: FanOutCase; readonly frames: number }
  /** Of subscribers, before it. */
  | { readonly do: 'take'; readonly of: FanOutCase; readonly frames: number };

interface Opened {
  readonly publisher: Publisher | null;
  readonly subscriber: Subscriber | null;
  readonly marks: Marks;
  /** The last frame that was sent, or taken. */
  number: number;
}

const [role, placeText = '0'] = process.argv.slice(2);
const place = Number(placeText);
const broker = await connect({ name: `bench-fan-out-${role}` });
const opened = new Map<string, Opened>();

async function open(of: FanOutCase): Promise<void> {
  const channel = await broker.createChannel(`bench/${idOf(of)}`, {
    slotBytes: PAYLOAD_BYTES,
    slots: slotsOf(of),
    persistent: true,
    ifExists: 'open-if-same',
  });
  const marks = await openMarks(broker, `bench/marks/${idOf(of)}`, COUNT_MAX);
  const publisher = role === 'publisher' ? await channel.openPublisher() : null;
  const subscriber = role === 'publisher' ? null : await channel.subscribe({ wait: of.waiting, maxPins: MAX_PINS });
  opened.set(idOf(of), { publisher, subscriber, marks, number: 0 });
}

async function send(of: FanOutCase, frames: number): Promise<Float64Array> {
  const ours = there(of);
  const { publisher, marks } = ours;
  if (publisher === null) throw new Error('this side only takes');
  const heldByAll: HeldByAll = (number) => marks.heldByAll(of.subscribers, number);
  const tookNs = new Float64Array(frames);
  for (let index = 0; index < frames; index += 1) {
    ours.number += 1;
    tookNs[index] =
      of.waiting === 'spin'
        ? sendSpinning(publisher, ours.number, heldByAll)
        : await sendToSleepers(publisher, ours.number, heldByAll);
  }
  return tookNs;
}

async function take(of: FanOutCase, frames: number): Promise<void> {
  const ours = there(of);
  if (ours.subscriber === null) throw new Error('this side only sends');
  for (let index = 0; index < frames; index += 1) {
    const frame = of.waiting === 'spin' ? takeSpinning(ours.subscriber) : await ours.subscriber.take();
    const heldNs = monotonicNs();
    if (frame === null) throw new Error('the stream ended');
    ours.number += 1;
    checkMark(frame.bytes, PAYLOAD_BYTES, ours.number);
    frame.release();
    ours.marks.hold(place, ours.number, heldNs);
  }
}

function takeSpinning(subscriber: Subscriber): Frame {
  for (let looks = 0; looks < LOOKS_MAX; looks += 1) {
    const frame = subscriber.tryTake();
    if (frame !== null) return frame;
  }
  throw nothingCame();
}

function there(of: FanOutCase): Opened {
  const found = opened.get(idOf(of));
  if (found === undefined) throw new Error(`${idOf(of)} was not opened here`);
  return found;
}

answerQuestions<FanOutQuestion>((question) => {
  switch (question.do) {
    case 'open':
      return open(question.of);
    case 'send':
      return send(question.of, question.frames);
    case 'take':
      return take(question.of, question.frames);
  }
});
