/** The context of the real process: its streams, signals and last words. Made once, by main.ts. */
import { OutputClosedError } from '../video/errors.ts';
import { type CliContext, type HandedOnSignal, InterruptedError, OTHERS_SIGNALS, STOP_SIGNALS } from './context.ts';
import { oneLine } from './errors.ts';
import { EXIT_CODE_OF_SIGNAL, ExitCode } from './exit-codes.ts';

export function processContext(): CliContext {
  const abort = new AbortController();
  let exitCode: number | undefined;
  let fatalHook: ((error: unknown) => void) | undefined;
  const takeSignals = handleSignals(abort);
  survivePipes(abort);
  process.on('uncaughtException', (error) => {
    if (fatalHook === undefined) process.stderr.write(`leasehold: internal error: ${error.stack ?? error.message}\n`);
    try {
      fatalHook?.(error);
    } finally {
      process.exit(ExitCode.failed);
    }
  });
  return {
    stdin: process.stdin,
    stdout: process.stdout,
    stderr: process.stderr,
    stdoutIsTty: process.stdout.isTTY === true,
    stderrIsTty: process.stderr.isTTY === true,
    env: process.env,
    uid: process.geteuid?.() ?? 0,
    signal: abort.signal,
    get exitCode() {
      return exitCode;
    },
    setExitCode: (code) => {
      exitCode = code;
    },
    takeSignals,
    onFatal: (hook) => {
      fatalHook = hook;
      return () => {
        if (fatalHook === hook) fatalHook = undefined;
      };
    },
  };
}

/** Signals stop the command, until it takes them. Returns how it does. */
function handleSignals(abort: AbortController): CliContext['takeSignals'] {
  let taker: ((signalName: HandedOnSignal) => void) | undefined;
  for (const signalName of STOP_SIGNALS) {
    process.on(signalName, () => {
      if (taker !== undefined) return taker(signalName);
      if (abort.signal.reason instanceof InterruptedError) process.exit(EXIT_CODE_OF_SIGNAL[signalName]);
      abort.abort(new InterruptedError(signalName));
    });
  }
  return (handler) => {
    taker = handler;
    const handOn = OTHERS_SIGNALS.map((signalName) => [signalName, () => handler(signalName)] as const);
    for (const [signalName, listener] of handOn) process.on(signalName, listener);
    return () => {
      for (const [signalName, listener] of handOn) process.off(signalName, listener);
      taker = undefined;
    };
  };
}

/**
 * A reader that goes away (`… | head`) is an end like any other. Any other failure ends the command, too, but in order: a broker whose
 * stdout is full still drains.
 */
function survivePipes(abort: AbortController): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') return abort.abort(new OutputClosedError(error));
    process.stderr.write(`leasehold: cannot write the output: ${oneLine(error.message)}\n`);
    // Whatever the command makes of it.
    process.once('exit', () => {
      process.exitCode = ExitCode.failed;
    });
    abort.abort(error);
  });
  // Nobody is left who could be told.
  process.stderr.on('error', () => undefined);
}
