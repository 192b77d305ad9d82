// biome-ignore-all lint/correctness/noUndeclaredDependencies: tests only; not part of the package.
/** Scripts beside this file in processes of their own. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

export interface ScriptOutcome {
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** `under` is a command in front of node. */
export function runScript(
  name: string,
  scriptArguments: readonly string[],
  under: readonly string[] = [],
): ScriptOutcome {
  const node = [process.execPath, join(import.meta.dirname, name), ...scriptArguments];
  const [command = process.execPath, ...rest] = [...under, ...node];
  const { status, signal, stdout, stderr } = spawnSync(command, rest, { encoding: 'utf8' });
  return { status, signal, stdout, stderr };
}
