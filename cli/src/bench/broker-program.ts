/** The broker of a run: `leasehold serve` in a process of the crew. It answers as soon as clients can connect. */
import { Writable } from 'node:stream';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { processContext } from '../program/process-context.ts';
import { runProgram } from '../program/program.ts';
import { answerQuestions } from './answering.ts';
import type { BrokerQuestion, SettledMemory } from './broker-process.ts';

const serving = Promise.withResolvers<null>();
/** `serve` prints one line, when it serves. */
const stdout = new Writable({
  write: (_chunk, _encoding, done) => {
    serving.resolve(null);
    done();
  },
});

answerQuestions<BrokerQuestion>(
  async (question) => {
    await serving.promise;
    return question === 'what memory does it have?' ? settledMemory() : null;
  },
  () => process.kill(process.pid, 'SIGTERM'),
);
function settledMemory(): SettledMemory {
  setFlagsFromString('--expose-gc');
  const collect: () => void = runInNewContext('gc');
  collect();
  collect();
  const { rss, heapUsed } = process.memoryUsage();
  return { residentBytes: rss, heapBytes: heapUsed };
}

const context = Object.create(processContext(), { stdout: { value: stdout } });
process.exitCode = await runProgram(['serve', ...process.argv.slice(2)], context);
if (process.connected) process.disconnect();
