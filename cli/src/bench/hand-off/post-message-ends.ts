/**
 * Two threads of one process: the payload is an ArrayBuffer that goes to and fro, transferred, so that nothing is copied. The leader
 * makes the other thread; there is nothing to do for a follower's process.
 */
import { once } from 'node:events';
import { MessageChannel, type MessagePort, Worker } from 'node:worker_threads';
import { monotonicNs } from '@leasehold/client';
import { checkMark, type EndOptions, type Follower, type Leader, mark, type Transport } from './ends.ts';
import { DEAF, type Line, MessageLeader } from './message-ends.ts';
import { spinOn, type ThreadData } from './ports.ts';

const THREAD = new URL('../../../dist/bench/hand-off/post-message-thread.js', import.meta.url);

interface Thread {
  readonly port: MessagePort;
  readonly worker: Worker;
}

async function startThread({ way, payloadBytes, farCore }: EndOptions): Promise<Thread> {
  const { port1, port2 } = new MessageChannel();
  const workerData: ThreadData = { port: port2, spins: way.waiting === 'spin', payloadBytes, core: farCore };
  const worker = new Worker(THREAD, { workerData, transferList: [port2] });
  // It says so when it is ready, and on its core.
  await once(worker, 'message');
  return { port: port1, worker };
}

function lineTo({ port, worker }: Thread, payloadBytes: number): Line {
  let payload = new Uint8Array(payloadBytes);
  const line: Line = {
    ...DEAF,
    get next() {
      return payload;
    },
    send: () => port.postMessage(payload.buffer, [payload.buffer]),
    close: async () => {
      port.close();
      await worker.terminate();
    },
  };
  port.on('message', (arrived: ArrayBuffer) => {
    payload = new Uint8Array(arrived);
    line.onArrival(payload);
  });
  worker.on('error', (error) => line.onFailure(error as Error));
  return line;
}

function spinningLeader({ port, worker }: Thread, payloadBytes: number): Leader {
  let payload = new Uint8Array(payloadBytes);
  let number = 0;
  const lead = (count: number): Float64Array => {
    const tookNs = new Float64Array(count);
    let startedNs = monotonicNs();
    for (let index = 0; index < count; index += 1) {
      number += 1;
      mark(payload, number);
      port.postMessage(payload.buffer, [payload.buffer]);
      payload = new Uint8Array(spinOn(port));
      const heldNs = monotonicNs();
      tookNs[index] = heldNs - startedNs;
      startedNs = heldNs;
      checkMark(payload, payloadBytes, number);
    }
    return tookNs;
  };
  return {
    lead,
    close: async () => {
      await worker.terminate();
      port.close();
    },
  };
}

async function openLeader(options: EndOptions): Promise<Leader> {
  const thread = await startThread(options);
  const { payloadBytes } = options;
  if (options.way.waiting === 'spin') return spinningLeader(thread, payloadBytes);
  return new MessageLeader(lineTo(thread, payloadBytes), payloadBytes);
}

const NOBODY: Follower = { follow: () => undefined, close: () => undefined };

export const POST_MESSAGE: Transport = { openLeader, openFollower: async () => NOBODY };
