/**
 * What a command may use of the world around it. Commands reach for nothing else, so tests can give them another one.
 *
 * A command that is told to stop through `signal` lets the error that it gets from there pass: the exit code then says why it ended.
 */
import type { Readable } from 'node:stream';

/** A stream for people or for scripts. */
export interface CliOutput extends NodeJS.WritableStream {
  readonly isTTY?: boolean;
  readonly columns?: number;
  readonly rows?: number;
}

export interface CliContext {
  readonly stdin: Readable;
  /** Machine output. */
  readonly stdout: CliOutput;
  /** Everything else: errors, progress, logs. */
  readonly stderr: CliOutput;
  readonly stdoutIsTty: boolean;
  readonly stderrIsTty: boolean;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly uid: number;
  /** Aborted by the first of STOP_SIGNALS, or when stdout cannot be written. A second signal ends the process at once. */
  readonly signal: AbortSignal;
  /** What was set, if anything. */
  readonly exitCode: number | undefined;
  /**
   * For a command that has an outcome between done and an error, that ends well when it is told to stop, or that ends as another
   * command did.
   */
  setExitCode(code: number): void;
  /**
   * From now on signals go to `handler` and neither abort `signal` nor end the process: for a command that runs another one. Returns
   * how to take it back.
   */
  takeSignals(handler: (signalName: HandedOnSignal) => void): () => void;
  /**
   * What to do, synchronously and quickly, before the process dies of an exception that nobody caught. Replaces the usual message.
   * Returns how to take it back.
   */
  onFatal(hook: (error: unknown) => void): () => void;
}

/** The signals that tell a command to stop: Ctrl-C, a supervisor, and a terminal that was closed. */
export const STOP_SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
export type StopSignal = (typeof STOP_SIGNALS)[number];

/** Signals that mean something to other commands; this one leaves them alone until it runs such a command. */
export const OTHERS_SIGNALS = ['SIGQUIT', 'SIGUSR1', 'SIGUSR2'] as const;
/** What a command that runs another one hands on to it. */
export type HandedOnSignal = StopSignal | (typeof OTHERS_SIGNALS)[number];

/** Why `signal` was aborted, when a signal of the system did it. */
export class InterruptedError extends Error {
  override readonly name = 'InterruptedError';
  readonly signalName: StopSignal;

  constructor(signalName: StopSignal) {
    super(`interrupted by ${signalName}`);
    this.signalName = signalName;
  }
}
