/** Publishes pictures as fast as it can until it is told to stop. argv: runtime directory. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { connect } from '@leasehold/client';
import { CHANNEL, paint } from '../libraries/pattern.ts';
import { serveQuestions } from '../support/worker-side.ts';

const FRAMES_PER_TURN = 16;

const broker = await connect({ runtimeDir: process.argv[2], name: 'library-publisher' });
const channel = await broker.channel(CHANNEL);
const publisher = await channel.openPublisher();
let running = false;
let sequence = 0;

async function publish(): Promise<void> {
  while (running) {
    for (let i = 0; i < FRAMES_PER_TURN; i += 1) {
      const loan = publisher.tryLoan();
      if (loan === null) break;
      sequence += 1;
      paint(loan.bytes, sequence);
      loan.publish();
    }
    await nextTurn();
  }
}

let publishing = Promise.resolve();
serveQuestions(async (question: 'start' | 'stop') => {
  if (question === 'start') {
    running = true;
    publishing = publish();
    return sequence;
  }
  running = false;
  await publishing;
  return sequence;
});
