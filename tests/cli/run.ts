/** One command to its end, and what tests of commands ask again and again. */
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { type Ending, leasehold, type RunningProcess } from '../support/processes.ts';

/** Somebody who is neither root nor the broker's user. */
export const STRANGER = { uid: 54_321, gid: 54_321 } as const;

export interface Outcome {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

export async function outcomeOf(running: RunningProcess): Promise<Outcome> {
  return outcome(await running.ended);
}

export function outcome({ code, stdout, stderr }: Ending): Outcome {
  return { code, out: stdout.toString(), err: stderr };
}

/** `leasehold ARGS`, with `input` on its stdin, to its end. */
export function run(env: NodeJS.ProcessEnv, args: readonly string[], input?: Buffer): Promise<Outcome> {
  const running = leasehold(args, { env });
  running.child.stdin?.end(input);
  return outcomeOf(running);
}

/** Resolves with all it has written as soon as that matches; rejects if the process ends before. */
export async function said(
  running: RunningProcess,
  pattern: RegExp,
  stream: 'stdout' | 'stderr' = 'stdout',
): Promise<string> {
  const readable = running.child[stream];
  if (readable === null) throw new TypeError(`${stream} is not a pipe`);
  const over = running.ended.then(({ code }) => {
    throw new Error(`ended with ${code} before it said ${pattern}: ${running.stdout()}${running.stderr()}`);
  });
  over.catch(() => undefined);
  while (!pattern.test(running[stream]())) await Promise.race([once(readable, 'data'), over]);
  return running[stream]();
}

const ASK_AGAIN_MS = 20;

/** Asks again and again, and resolves when the answer is yes. The test's own timeout bounds it. */
export async function until(question: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await question())) await delay(ASK_AGAIN_MS);
}
