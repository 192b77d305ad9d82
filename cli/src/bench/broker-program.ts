/** The broker of a run: `leasehold serve` in a process of the crew. It answers any question as soon as clients can connect. */
import { Writable } from 'node:stream';
import { processContext } from '../program/process-context.ts';
import { runProgram } from '../program/program.ts';
import { answerQuestions } from './answering.ts';

const serving = Promise.withResolvers<null>();
/** `serve` prints one line, when it serves. */
const stdout = new Writable({
  write: (_chunk, _encoding, done) => {
    serving.resolve(null);
    done();
  },
});

answerQuestions(
  () => serving.promise,
  () => process.kill(process.pid, 'SIGTERM'),
);
const context = Object.create(processContext(), { stdout: { value: stdout } });
process.exitCode = await runProgram(['serve', ...process.argv.slice(2)], context);
if (process.connected) process.disconnect();
