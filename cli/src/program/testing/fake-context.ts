/** A context for tests: what was printed is kept, and the test decides when the command is told to stop. */
import { Readable, Writable } from 'node:stream';
import type { CliContext, HandedOnSignal } from '../context.ts';

export interface FakeContext extends CliContext {
  readonly printed: { out: string; err: string };
  abort(reason: Error): void;
  /** To the command that took the signals. */
  send(signalName: HandedOnSignal): void;
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
  let exitCode: number | undefined;
  let taker: ((signalName: HandedOnSignal) => void) | undefined;
  return {
    printed,
    abort: (reason) => controller.abort(reason),
    send: (signalName) => taker?.(signalName),
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
    takeSignals: (handler) => {
      taker = handler;
      return () => {
        taker = undefined;
      };
    },
    onFatal: () => () => undefined,
  };
}
