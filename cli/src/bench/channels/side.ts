/** Either side of one case of channels, a process of its own: `side.js sender|receiver COUNT`. */
import { setTimeout as sleep } from 'node:timers/promises';
import { type Broker, connect, monotonicNs, type Publisher, type WaitSet } from '@leasehold/client';
import { answerQuestions } from '../answering.ts';
import { checkMark } from '../hand-off/ends.ts';
import { type Marks, openMarks } from '../marks.ts';
import { sendToSleepers } from '../sending.ts';
import { busyOf, channelName, PAYLOAD_BYTES, SLOTS } from './cases.ts';

export type ChannelsQuestion =
  | { readonly do: 'open' }
  /** Of the sender: answered with how long each frame took, ns. */
  | { readonly do: 'send'; readonly frames: number }
  /** Of the receiver: its CPU time while nothing comes, in per cent of a core. */
  | { readonly do: 'idle'; readonly ms: number };

interface Side {
  send(frames: number): Promise<Float64Array>;
}

const [role, countText = '1'] = process.argv.slice(2);
const count = Number(countText);
let sender: Side | null = null;

async function open(): Promise<void> {
  const broker = await connect({ name: `bench-channels-${role}` });
  const marks = await openMarks(broker, `bench/marks/channels/${count}`, 1);
  if (role === 'sender') sender = await openSender(broker, marks);
  else await openReceiver(broker, marks);
}

const openChannel = (broker: Broker, index: number) =>
  broker.createChannel(channelName(count, index), {
    slotBytes: PAYLOAD_BYTES,
    slots: SLOTS,
    persistent: true,
    ifExists: 'open-if-same',
  });

async function openSender(broker: Broker, marks: Marks): Promise<Side> {
  const publishers: Publisher[] = [];
  for (const index of busyOf(count)) publishers.push(await (await openChannel(broker, index)).openPublisher());
  let sent = 0;
  return {
    send: async (frames) => {
      const tookNs = new Float64Array(frames);
      for (let index = 0; index < frames; index += 1) {
        const publisher = publishers[sent % publishers.length];
        if (publisher === undefined) break;
        sent += 1;
        tookNs[index] = await sendToSleepers(publisher, sent, (number) => marks.heldByAll(1, number));
      }
      return tookNs;
    },
  };
}

async function openReceiver(broker: Broker, marks: Marks): Promise<void> {
  const set = broker.waitSet();
  for (let index = 0; index < count; index += 1) {
    set.add(await (await openChannel(broker, index)).subscribe({ wait: 'park' }));
  }
  void receive(set, marks);
}

/** Until this process ends. What goes wrong here ends it. */
async function receive(set: WaitSet, marks: Marks): Promise<never> {
  let received = 0;
  for (;;) {
    for (const subscriber of await set.wait()) {
      for (let frame = subscriber.tryTake(); frame !== null; frame = subscriber.tryTake()) {
        const heldNs = monotonicNs();
        received += 1;
        checkMark(frame.bytes, PAYLOAD_BYTES, received);
        frame.release();
        marks.hold(0, received, heldNs);
      }
    }
  }
}

async function idle(ms: number): Promise<number> {
  const startedMs = performance.now();
  const before = process.cpuUsage();
  await sleep(ms);
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 10 / (performance.now() - startedMs);
}

answerQuestions<ChannelsQuestion>((question) => {
  switch (question.do) {
    case 'open':
      return open();
    case 'send':
      return sender?.send(question.frames);
    case 'idle':
      return idle(question.ms);
  }
});
