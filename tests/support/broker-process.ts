/** A broker of its own for a test: a real `leasehold serve` in a temporary runtime directory. */
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { leasehold, type RunningProcess } from './processes.ts';
import { tempDir } from './temp-dir.ts';

export interface BrokerProcess extends RunningProcess {
  /** Where its runtime and state directories are; given to `startBroker`, another broker takes this one's place. */
  readonly base: string;
  readonly runtimeDir: string;
  /** Environment for client commands that look for this broker. */
  readonly env: NodeJS.ProcessEnv;
  /** Open descriptors. */
  fdCount(): number;
  /** Memory mappings. */
  mapCount(): number;
  /** Resident memory, B. */
  residentBytes(): number;
  /** SIGTERM; resolves with the exit code. */
  stop(): Promise<number | null>;
}

/** Starts a broker and resolves when it is ready. */
export async function startBroker(args: readonly string[] = [], base = tempDir()): Promise<BrokerProcess> {
  const runtimeDir = join(base, 'run');
  const env = { ...process.env, LEASEHOLD_RUNTIME_DIR: runtimeDir };
  const defaults = ['--runtime-dir', runtimeDir, '--state-dir', join(base, 'state'), '--http', 'off'];
  const running = leasehold(['serve', ...defaults, ...args]);
  const over = running.ended.then(({ code, signal, stderr }) => {
    throw new Error(`the broker ended with ${code ?? signal} before it was ready: ${stderr}`);
  });
  over.catch(() => undefined);
  // It says so on stdout when clients can connect.
  await Promise.race([once(running.child.stdout as NonNullable<typeof running.child.stdout>, 'data'), over]);
  const procfs = (file: string): string => `/proc/${running.pid}/${file}`;
  return {
    ...running,
    base,
    runtimeDir,
    env,
    fdCount: () => readdirSync(procfs('fd')).length,
    mapCount: () => readFileSync(procfs('maps'), 'utf8').split('\n').length - 1,
    residentBytes: () => Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(procfs('status'), 'utf8'))?.[1] ?? 0) * 1024,
    stop: async () => {
      running.child.kill('SIGTERM');
      return (await running.ended).code;
    },
  };
}
