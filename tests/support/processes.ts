/** Real processes for tests: the `leasehold` command, and workers that talk over IPC. Everything started ends with its test. */
import { type ChildProcess, fork, type SpawnOptions, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';

export const LEASEHOLD = fileURLToPath(new URL('../../cli/bin/leasehold.js', import.meta.url));

/** How a process ended. */
export interface Ending {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: Buffer;
  readonly stderr: string;
}

export interface RunningProcess {
  readonly child: ChildProcess;
  readonly pid: number;
  /** What it wrote to stdout so far. */
  stdout(): string;
  /** What it wrote to stderr so far. */
  stderr(): string;
  readonly ended: Promise<Ending>;
}

/** Starts `leasehold ARGS`. Killed when the test is over. `stdout` is collected unless `options.stdio` says otherwise. */
export function leasehold(args: readonly string[], options: SpawnOptions = {}): RunningProcess {
  return track(spawn(process.execPath, [LEASEHOLD, ...args], { stdio: ['pipe', 'pipe', 'pipe'], ...options }));
}

/** Starts any command the same way. */
export function command(file: string, args: readonly string[], options: SpawnOptions = {}): RunningProcess {
  return track(spawn(file, args, { stdio: ['pipe', 'pipe', 'pipe'], ...options }));
}

function track(child: ChildProcess): RunningProcess {
  const stdout: Buffer[] = [];
  const stderr: Buffer[] = [];
  child.stdout?.on('data', (chunk: Buffer) => stdout.push(chunk));
  child.stderr?.on('data', (chunk: Buffer) => stderr.push(chunk));
  child.stdin?.on('error', () => undefined);
  const ended = new Promise<Ending>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => {
      resolve({ code, signal, stdout: Buffer.concat(stdout), stderr: Buffer.concat(stderr).toString() });
    });
  });
  ended.catch(() => undefined);
  onTestFinished(async () => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
    await ended.catch(() => undefined);
  });
  return {
    child,
    pid: child.pid ?? -1,
    stdout: () => Buffer.concat(stdout).toString(),
    stderr: () => Buffer.concat(stderr).toString(),
    ended,
  };
}

/** A worker of tests/workers: it is asked over IPC, one question at a time, and answers each. */
export interface Worker {
  readonly child: ChildProcess;
  readonly pid: number;
  /** Sends a question and resolves with its answer; rejects when the worker says it failed, or ends. */
  ask<T = unknown>(question: unknown): Promise<T>;
  /** The next message that the worker sends on its own. */
  next<T = unknown>(): Promise<T>;
  kill(signal: NodeJS.Signals): void;
  readonly ended: Promise<Ending>;
}

/** Starts tests/workers/NAME.ts with arguments, as another user if `uid` is given. */
export function startWorker(
  name: string,
  args: readonly string[],
  options: { uid?: number; gid?: number } = {},
): Worker {
  const file = fileURLToPath(new URL(`../workers/${name}.ts`, import.meta.url));
  const child = fork(file, [...args], {
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    serialization: 'advanced',
    ...options,
  });
  const running = track(child);
  const next = async <T>(): Promise<T> => {
    const over = running.ended.then(({ code, signal, stderr }) => {
      throw new Error(`worker ${name} ended (${code ?? signal}): ${stderr}`);
    });
    const [message] = await Promise.race([once(child, 'message'), over]);
    const reply = message as { error?: string; value?: T };
    if (reply.error !== undefined) throw new Error(`worker ${name}: ${reply.error}`);
    return reply.value as T;
  };
  const ask = <T>(question: unknown): Promise<T> => {
    const answer = next<T>();
    child.send({ question });
    return answer;
  };
  return { child, pid: running.pid, ask, next, kill: (signal) => void child.kill(signal), ended: running.ended };
}
