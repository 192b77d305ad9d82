/** A subscriber that takes frames as its strategy says, and tells what CPU time it cost. argv: runtime directory, channel, strategy. */
import { connect, type WaitStrategy } from '@leasehold/client';
import { serveQuestions } from '../support/worker-side.ts';

const [, , runtimeDir = '', name = '', strategy = ''] = process.argv;
const broker = await connect({ runtimeDir });
const subscriber = await broker.subscribe(name, { wait: strategy as WaitStrategy });
let taken = 0;
void (async () => {
  for await (const frame of subscriber) {
    frame.release();
    taken += 1;
  }
})();

serveQuestions((_: 'cost') => {
  const { user, system } = process.cpuUsage();
  return { taken, cpuUs: user + system };
});
