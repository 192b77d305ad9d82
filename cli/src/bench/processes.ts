/**
 * The processes of a run, each a program of this benchmark that answers questions over IPC. Invariants: whatever is started is ended
 * by `Crew.close`, by force if need be; whoever ends earlier fails the question that it was asked; if this process is killed,
 * the others see their channel close and end by themselves. Ctrl-C reaches this process alone, which then ends them in order.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** A process that does not answer in this time never will. */
const ANSWER_MS_MAX = 120_000;
/** From SIGTERM to SIGKILL. */
const STOP_MS = 3_000;

/** A program of the benchmark, for example `hand-off/side.js`. The same relative to the sources and to what is compiled from them. */
export const programPath = (name: string): string =>
  fileURLToPath(new URL(`../../dist/bench/${name}`, import.meta.url));

export interface ProgramOptions {
  /** For people, for example `near`. */
  readonly name: string;
  /** A file. */
  readonly program: string;
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Null or absent: the scheduler decides. */
  readonly core?: number | null;
  /** For node. */
  readonly execArgv?: readonly string[];
}

/** @internal What goes to and fro. */
export interface Asked {
  readonly number: number;
  readonly question: unknown;
}
/** @internal */
export interface Answered {
  readonly number: number;
  readonly value?: unknown;
  readonly error?: string;
}

/** A process that answers. */
export class Member<Question> {
  readonly name: string;
  readonly pid: number;
  readonly #child: ChildProcess;
  readonly #asked = new Map<number, PromiseWithResolvers<unknown>>();
  readonly #gone: Promise<void>;
  #number = 0;
  #over: Error | null = null;

  constructor({ name, program, args = [], env = process.env, core, execArgv = [] }: ProgramOptions) {
    this.name = name;
    const pin =
      core === undefined || core === null
        ? { execArgv: [...execArgv] }
        : { execPath: 'taskset', execArgv: ['--cpu-list', String(core), process.execPath, ...execArgv] };
    this.#child = fork(program, args, { serialization: 'advanced', detached: true, env, ...pin });
    this.pid = this.#child.pid ?? 0;
    this.#child.on('message', (message) => this.#receive(message as Answered));
    this.#gone = new Promise((resolve) => {
      const end = (how: string): void => {
        this.#end(new Error(`the ${name} process of the benchmark ended (${how})`));
        resolve();
      };
      this.#child.once('error', (error) => end(error.message));
      this.#child.once('exit', (code, signalName) => end(signalName ?? `exit code ${code}`));
    });
  }

  /** Several questions may be asked at once. @throws Error that the process answered with; that it ended; that it took too long. */
  async ask<T>(question: Question): Promise<T> {
    if (this.#over !== null) throw this.#over;
    this.#number += 1;
    const number = this.#number;
    const answer = Promise.withResolvers<unknown>();
    this.#asked.set(number, answer);
    const late = setTimeout(() => {
      answer.reject(
        new Error(`the ${this.name} process of the benchmark did not answer in ${ANSWER_MS_MAX / 1_000} s`),
      );
    }, ANSWER_MS_MAX);
    try {
      this.#child.send({ number, question } satisfies Asked, (error) => {
        if (error !== null) answer.reject(error);
      });
      return (await answer.promise) as T;
    } finally {
      clearTimeout(late);
      this.#asked.delete(number);
    }
  }

  /** Ends it, by force if it does not end by itself. Idempotent. */
  async stop(signalName: 'SIGTERM' | 'SIGKILL' = 'SIGTERM'): Promise<void> {
    if (this.#over === null) this.#child.kill(signalName);
    const force = setTimeout(() => this.#child.kill('SIGKILL'), STOP_MS);
    await this.#gone;
    clearTimeout(force);
  }

  /** Resolves when its end of the channel is closed: the kernel has unmapped its memory then. */
  get disconnected(): Promise<void> {
    return new Promise((resolve) => {
      if (this.#child.connected) this.#child.once('disconnect', () => resolve());
      else resolve();
    });
  }

  #receive({ number, error, value }: Answered): void {
    const asked = this.#asked.get(number);
    if (error === undefined) asked?.resolve(value);
    else asked?.reject(new Error(`the ${this.name} process of the benchmark: ${error}`));
  }

  #end(why: Error): void {
    this.#over = why;
    for (const { reject } of this.#asked.values()) reject(why);
  }
}

/** All processes of a run. */
export class Crew {
  readonly #members: Member<never>[] = [];
  #closed = false;

  /** @throws Error when the crew was closed: the run is over. */
  start<Question>(options: ProgramOptions): Member<Question> {
    if (this.#closed) throw new Error('the run is over');
    const member = new Member<Question>(options);
    this.#members.push(member as Member<never>);
    return member;
  }

  /** Ends a process before the others. */
  async dismiss<Question>(member: Member<Question>, signalName: 'SIGTERM' | 'SIGKILL' = 'SIGTERM'): Promise<void> {
    await member.stop(signalName);
    const at = this.#members.indexOf(member as Member<never>);
    if (at >= 0) this.#members.splice(at, 1);
  }

  /** Ends every process; the first, which is the broker, last. @returns how many there were */
  async close(): Promise<number> {
    this.#closed = true;
    const members = this.#members.splice(0);
    const [first, ...others] = members;
    await Promise.all(others.map((member) => member.stop()));
    await first?.stop();
    return members.length;
  }
}
