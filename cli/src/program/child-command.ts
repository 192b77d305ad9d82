/**
 * Runs the command that another one was given after `--`. Invariants: it has our stdin, stdout and stderr; signals that reach us reach
 * it, once; how it ended becomes an exit code as in a shell.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { constants } from 'node:os';
import type { CliContext, HandedOnSignal } from './context.ts';
import { oneLine } from './errors.ts';

/** As shells have it: a command that is there and cannot be run, and one that is not there. */
const CANNOT_RUN = 126;
const NOT_THERE = 127;
const SIGNAL_BASE = 128;

export interface ChildOptions {
  /** The command and its arguments. */
  readonly words: readonly string[];
  /** Put into its environment, beside ours. */
  readonly env: Readonly<Record<string, string>>;
  /** Aborted: the command is told to end, by SIGTERM. */
  readonly stop?: AbortSignal;
}

/** How the command ended. */
export interface ChildEnd {
  /** 0 to 255; 128 and the number of the signal that killed it; 126 or 127 when it could not be started. */
  readonly exitCode: number;
  readonly killedBy: NodeJS.Signals | null;
}

/** Never rejects: why a command could not be started is told on stderr. */
export async function runChild(context: CliContext, { words, env, stop }: ChildOptions): Promise<ChildEnd> {
  const [file = '', ...args] = words;
  try {
    const child = spawn(file, args, { stdio: 'inherit', env: { ...context.env, ...env } });
    return await guide(child, context, stop);
  } catch (error) {
    return notStarted(context, file, error as NodeJS.ErrnoException);
  }
}

/** Hands signals on until the command ends. */
async function guide(child: ChildProcess, context: CliContext, stop: AbortSignal | undefined): Promise<ChildEnd> {
  const terminate = (): void => void child.kill('SIGTERM');
  const releaseSignals = context.takeSignals((signalName) => {
    if (!reachesChildItself(signalName)) child.kill(signalName);
  });
  stop?.addEventListener('abort', terminate);
  try {
    if (stop?.aborted) terminate();
    return await endOf(child);
  } finally {
    stop?.removeEventListener('abort', terminate);
    releaseSignals();
  }
}

function endOf(child: ChildProcess): Promise<ChildEnd> {
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code, signal) => {
      const exitCode = signal === null ? (code ?? 0) : SIGNAL_BASE + constants.signals[signal];
      resolve({ exitCode, killedBy: signal });
    });
  });
}

function notStarted(context: CliContext, file: string, error: NodeJS.ErrnoException): ChildEnd {
  const notThere = error.code === 'ENOENT';
  const why = notThere ? 'there is no such command' : oneLine(error.message);
  context.stderr.write(`leasehold: cannot run ${JSON.stringify(file)}: ${why}\n`);
  return { exitCode: notThere ? NOT_THERE : CANNOT_RUN, killedBy: null };
}

/** What the keyboard sends, goes to every process of the terminal's foreground group: the command, too, has had it. */
function reachesChildItself(signalName: HandedOnSignal): boolean {
  return (signalName === 'SIGINT' || signalName === 'SIGQUIT') && inForeground();
}

/** Whether we are in the foreground group of our terminal: proc_pid_stat(5), `pgrp` and `tpgid`. */
function inForeground(): boolean {
  const fields = readFileSync('/proc/self/stat', 'utf8').split(') ').at(-1)?.split(' ') ?? [];
  const [, , group, , , foregroundGroup] = fields;
  return group === foregroundGroup;
}
