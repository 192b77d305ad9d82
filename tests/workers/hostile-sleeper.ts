/** A subscriber that waits, parked, and tells how its wait ended. argv: runtime directory, channel. */
import { connect, type LeaseholdError } from '@leasehold/client';
import { serveQuestions } from '../support/worker-side.ts';

const [, , runtimeDir = '', name = ''] = process.argv;
const broker = await connect({ runtimeDir });
const subscriber = await broker.subscribe(name, { wait: 'park' });
let outcome: Promise<string> | undefined;

/** Takes all there is, until that fails. */
async function takeAll(): Promise<string> {
  try {
    for await (using frame of subscriber) await frame.holdUntil(Promise.resolve());
    return 'ended';
  } catch (error) {
    return (error as LeaseholdError).code;
  }
}

serveQuestions(async (question: 'park' | 'outcome') => {
  outcome ??= takeAll();
  return question === 'park' ? 'parked' : outcome;
});
