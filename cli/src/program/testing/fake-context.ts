/** A context for tests: what was printed is kept, and the test decides when the command is told to stop. */
import { Readable, Writable } from 'node:stream';
import type { CliContext } from '../context.ts';
import type { ExitCode } from '../exit-codes.ts';

export interface FakeContext extends CliContext {
  readonly printed: { out: string; err: string };
  abort(reason: Error): void;
}

export function fakeContext(options: { env?: Record<string, string>; tty?: boolean; uid?: number } = {}): FakeContext {
  const printed = { out: '', err: '' };
  const keep = (to: 'out' | 'err') =>
    new Writable({
      write(chunk: Buffer, _encoding, done) {
        printed[to] += chunk.toString();
        done();
      },
    });
  const controller = new AbortController();
  let exitCode: ExitCode | undefined;
  return {
    printed,
    abort: (reason) => controller.abort(reason),
    stdin: Readable.from([]),
    stdout: keep('out'),
    stderr: keep('err'),
    stdoutIsTty: options.tty ?? false,
    stderrIsTty: options.tty ?? false,
    env: options.env ?? {},
    uid: options.uid ?? 1000,
    signal: controller.signal,
    get exitCode() {
      return exitCode;
    },
    setExitCode: (code) => {
      exitCode = code;
    },
    onFatal: () => () => undefined,
  };
}
