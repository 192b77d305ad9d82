/** A broker with less than this process has: another user, limits of a shell's, a control group of its own. */
import { once } from 'node:events';
import { chmodSync, chownSync } from 'node:fs';
import { join } from 'node:path';
import { command, LEASEHOLD, type RunningProcess } from './processes.ts';
import { tempDir } from './temp-dir.ts';

export interface Confinement {
  /** Shell commands that the broker's process runs before it becomes one. */
  readonly before?: string;
  /** Whose process it is; default: who runs the test. */
  readonly uid?: number;
  /** Arguments of `serve`. */
  readonly args?: readonly string[];
}

export interface ConfinedBroker extends RunningProcess {
  readonly runtimeDir: string;
}

/** Resolves when clients can connect. */
export async function startConfinedBroker({ before = ':', uid, args = [] }: Confinement): Promise<ConfinedBroker> {
  const base = tempDir();
  if (uid !== undefined) chownSync(base, uid, uid);
  chmodSync(base, 0o755);
  const runtimeDir = join(base, 'run');
  const serve = ['serve', '--runtime-dir', runtimeDir, '--state-dir', join(base, 'state'), '--http', 'off', ...args];
  const script = `${before} && exec "$@"`;
  const running = command('sh', ['-c', script, 'sh', process.execPath, LEASEHOLD, ...serve], {
    cwd: '/',
    ...(uid === undefined ? {} : { uid, gid: uid }),
  });
  const over = running.ended.then(({ code, stderr }) => {
    throw new Error(`the broker ended with ${code} before it was ready: ${stderr}`);
  });
  // It says so on stdout when clients can connect.
  await Promise.race([once(running.child.stdout as NonNullable<typeof running.child.stdout>, 'data'), over]);
  over.catch(() => undefined);
  return { ...running, runtimeDir };
}
