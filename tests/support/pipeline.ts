/**
 * Shell pipelines of real processes: what flows between the stages goes through pipes of the kernel, as in a user's shell,
 * and never through the test. Everything started ends with its test.
 */
import { spawn } from 'node:child_process';
import type { Readable } from 'node:stream';
import { onTestFinished } from 'vitest';
import { LEASEHOLD } from './processes.ts';

export type Stage = readonly string[];

export interface PipelineEnding {
  /** The exit code of each stage; 128 + the signal's number for one that a signal ended. */
  readonly statuses: readonly number[];
  /** What the last stage wrote. */
  readonly stdout: Buffer;
  /** What all stages wrote. */
  readonly stderr: string;
}

/** `leasehold ARGS`, as a stage. */
export function leaseholdStage(...args: readonly string[]): Stage {
  return [process.execPath, LEASEHOLD, ...args];
}

/** Runs `STAGE | STAGE | …`, with nothing on the first one's stdin, and resolves when all have ended. */
export async function pipeline(stages: readonly Stage[], env: NodeJS.ProcessEnv): Promise<PipelineEnding> {
  const commands = stages.map((stage) => `${stage.map(quote).join(' ')} 3>&-`).join(' | ');
  const script = `${commands}; echo "\${PIPESTATUS[@]}" >&3`;
  // A process group of its own: its stages end with it.
  const child = spawn('bash', ['-c', script], { stdio: ['ignore', 'pipe', 'pipe', 'pipe'], env, detached: true });
  const ended = new Promise<void>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', () => resolve());
  });
  ended.catch(() => undefined);
  onTestFinished(async () => {
    if (child.exitCode === null && child.signalCode === null && child.pid !== undefined)
      process.kill(-child.pid, 'SIGKILL');
    await ended.catch(() => undefined);
  });
  const [stdout, stderr, statuses] = [1, 2, 3].map((fd) => collect(child.stdio[fd] as Readable));
  await ended;
  const codes = statuses?.().toString().trim().split(' ').map(Number) ?? [];
  return { statuses: codes, stdout: stdout?.() ?? Buffer.alloc(0), stderr: stderr?.().toString() ?? '' };
}

function collect(stream: Readable): () => Buffer {
  const chunks: Buffer[] = [];
  stream.on('data', (chunk: Buffer) => chunks.push(chunk));
  return () => Buffer.concat(chunks);
}

function quote(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}
