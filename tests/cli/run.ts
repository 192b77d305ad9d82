/** One command to its end, and what tests of commands ask again and again. */
import { once } from 'node:events';
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

/** Resolves as soon as the process has written something that matches; rejects if it ends before. */
export async function said(
  running: RunningProcess,
  pattern: RegExp,
  stream: 'stdout' | 'stderr' = 'stdout',
): Promise<string> {
  const readable = running.child[stream];
  if (readable === null) throw new TypeError(`${stream} is not a pipe`);
  let text = stream === 'stderr' ? running.stderr() : '';
  const over = running.ended.then(({ code, stderr }) => {
    throw new Error(`ended with ${code} before it said ${pattern}: ${text}${stderr}`);
  });
  over.catch(() => undefined);
  while (!pattern.test(text)) {
    const [chunk] = await Promise.race([once(readable, 'data'), over]);
    text += String(chunk);
  }
  return text;
}

/** Starts asking again and again, and resolves when the answer is yes. The test's own timeout bounds it. */
export async function until(question: () => Promise<boolean>): Promise<void> {
  while (!(await question()));
}
