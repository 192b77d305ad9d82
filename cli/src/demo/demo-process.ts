/**
 * The demo's side of one of its processes: this same command with other arguments, an IPC channel, and an end that is always
 * waited for. Each has a process group of its own, so that Ctrl-C reaches only the demo, which then ends them in order.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { FailureReport, StartOrder } from './messages.ts';

/** The same relative to the sources and to what is compiled from them. */
const CLI_PATH = fileURLToPath(new URL('../../bin/leasehold.js', import.meta.url));
const STDERR_CHARACTERS_MAX = 4_096;
/** From SIGTERM to SIGKILL. */
const STOP_MS = 3_000;

export interface DemoProcessOptions<Report> {
  /** For people, for example `camera`. */
  readonly name: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly onReport?: (report: Report) => void;
  readonly onOutput?: (text: string) => void;
  /** It ended before it was told to, or could not go on. */
  readonly onDeath: (error: Error) => void;
}

export class DemoProcess<Report extends { readonly kind: string } = never> {
  readonly #child: ChildProcess;
  readonly #options: DemoProcessOptions<Report>;
  /** Settles when the process is gone and everything it reported has arrived. */
  readonly #gone: Promise<void>;
  #failure: string | null = null;
  #stderr = '';
  #mayEnd = false;

  constructor(options: DemoProcessOptions<Report>) {
    this.#options = options;
    this.#child = fork(CLI_PATH, options.args, {
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      detached: true,
      env: options.env,
      execArgv: [],
    });
    this.#child.stdout?.setEncoding('utf8').on('data', (text: string) => options.onOutput?.(text));
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr = (this.#stderr + text).slice(-STDERR_CHARACTERS_MAX);
    });
    this.#child.on('message', (message) => this.#receive(message as Report | FailureReport));
    this.#gone = this.#watchEnd();
  }

  order(order: StartOrder): void {
    // A process that is gone cannot be told anything; its death is reported by itself.
    if (this.#child.connected) this.#child.send(order, () => undefined);
  }

  /** From now on its end is none to report. */
  expectEnd(): void {
    this.#mayEnd = true;
  }

  /** Ends it, by force if it does not end by itself. Idempotent. */
  async stop(): Promise<void> {
    this.expectEnd();
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return this.#gone;
    this.#child.kill('SIGTERM');
    const force = setTimeout(() => this.#child.kill('SIGKILL'), STOP_MS);
    await this.#gone;
    clearTimeout(force);
  }

  #receive(message: Report | FailureReport): void {
    if (message.kind === 'failed') this.#failure = (message as FailureReport).message;
    else this.#options.onReport?.(message as Report);
  }

  #watchEnd(): Promise<void> {
    const child = this.#child;
    return new Promise((resolve) => {
      const end = (how: string) => {
        resolve();
        if (!this.#mayEnd) this.#options.onDeath(new Error(this.#obituary(how)));
      };
      child.once('error', (error) => end(error.message));
      child.once('exit', (code, signalName) => {
        const how = signalName === null ? `exit code ${code}` : signalName;
        if (child.connected) child.once('disconnect', () => end(how));
        else end(how);
      });
    });
  }

  #obituary(how: string): string {
    const { name } = this.#options;
    if (this.#failure !== null) return `the ${name} process failed: ${this.#failure}`;
    const lastWords = this.#stderr.trim().split('\n').at(-1) ?? '';
    return `the ${name} process died (${how})${lastWords === '' ? '' : `: ${lastWords}`}`;
  }
}
