/** The other thread of `post-message-ends.ts`: sends back what it gets, numbered, until it is ended. */
import { spawnSync } from 'node:child_process';
import { readlinkSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import { checkMark, mark } from './ends.ts';
import { spinOn, type ThreadData } from './ports.ts';

const { port, spins, payloadBytes, core } = workerData as ThreadData;
let number = 0;

function answer(arrived: ArrayBuffer): void {
  const payload = new Uint8Array(arrived);
  number += 1;
  checkMark(payload, payloadBytes, number);
  mark(payload, number);
  port.postMessage(arrived, [arrived]);
}

/** This thread alone: `taskset` takes the number of a thread as that of a process. */
function moveTo(to: number): void {
  const thread = readlinkSync('/proc/thread-self').split('/').at(-1) ?? '';
  const { status, stderr } = spawnSync('taskset', ['--cpu-list', '--pid', String(to), thread], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`cannot move a thread to core ${to}: ${stderr.trim()}`);
}

if (core !== null) moveTo(core);
if (!spins) port.on('message', answer);
parentPort?.postMessage('ready');
while (spins) answer(spinOn(port));
