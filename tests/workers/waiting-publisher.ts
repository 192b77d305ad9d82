/** A publisher that publishes when it is asked to. argv: runtime directory, channel. */
import { connect } from '@leasehold/client';
import { serveQuestions } from '../support/worker-side.ts';

const [, , runtimeDir = '', name = ''] = process.argv;
const broker = await connect({ runtimeDir });
const publisher = await (await broker.channel(name)).openPublisher();

serveQuestions(async (frames: number) => {
  for (let published = 0; published < frames; published += 1) (await publisher.loan()).publish();
  return publisher.participantCount;
});
