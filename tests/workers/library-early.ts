/**
 * Lets frames go while libraries still work on them, which nobody should, and tells what came of it. argv: runtime directory,
 * directory for files.
 */
import { connect, type Subscriber } from '@leasehold/client';
import { LIBRARIES } from '../libraries/on-frames.ts';
import { CHANNEL, picture } from '../libraries/pattern.ts';
import { serveQuestions } from '../support/worker-side.ts';

const [, , runtimeDir = '', files = ''] = process.argv;
const broker = await connect({ runtimeDir, name: 'library-early' });

type Outcome = 'right' | 'wrong' | 'failed';

let zlibThrew = Promise.withResolvers<Outcome>();
// node:zlib looks at its input's length when the thread pool is done with it, and throws where nobody can catch it: it is empty.
process.on('uncaughtException', (error) => {
  if ((error as NodeJS.ErrnoException).code !== 'ERR_OUT_OF_RANGE') throw error;
  zlibThrew.resolve('failed');
});

/** Starts every library on a frame of its own and calls `letGo` at once. */
async function workTooLong(subscriber: Subscriber, letGo: () => unknown): Promise<Outcome[]> {
  const works: Promise<Outcome>[] = [];
  zlibThrew = Promise.withResolvers();
  for (const [name, work] of Object.entries(LIBRARIES)) {
    const frame = await subscriber.take();
    if (frame === null) throw new Error('the stream ended');
    const { sequence } = frame;
    const outcome = work(frame.asUint8Array(), files, `${name}-${sequence}`).then<Outcome, Outcome>(
      (seen) => (seen.equals(picture(sequence)) ? 'right' : 'wrong'),
      () => 'failed',
    );
    works.push(name === 'zlib' ? Promise.race([outcome, zlibThrew.promise]) : outcome);
    frame.release();
  }
  await letGo();
  return Promise.all(works);
}

serveQuestions(async ({ rounds, unmap }: { rounds: number; unmap: boolean }) => {
  const count = { right: 0, wrong: 0, failed: 0 };
  let subscriber = await broker.subscribe(CHANNEL, { mode: 'latest', maxPins: 1 });
  for (let round = 0; round < rounds; round += 1) {
    const before = subscriber;
    for (const outcome of await workTooLong(before, () => unmap && before.close())) count[outcome] += 1;
    if (unmap) subscriber = await broker.subscribe(CHANNEL, { mode: 'latest', maxPins: 1 });
  }
  await subscriber.close();
  await broker.close();
  return count;
});
