/** One broker for all tests of a file or group: started before the first, ended after the last. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll } from 'vitest';
import { LEASEHOLD } from './processes.ts';

export interface SharedBroker {
  readonly runtimeDir: string;
  /** Environment for client commands that look for this broker. */
  readonly env: NodeJS.ProcessEnv;
  /** Resolves when that process has opened a session; the test's own timeout bounds it. */
  sessionOf(pid: number): Promise<void>;
}

/** Call it where hooks can be registered, at the top of a file or in a `describe`. */
export function sharedBroker(args: readonly string[] = []): SharedBroker {
  const base = mkdtempSync('/tmp/lh-');
  // Other users reach the broker's own checks.
  chmodSync(base, 0o755);
  const runtimeDir = join(base, 'run');
  const places = ['--runtime-dir', runtimeDir, '--state-dir', join(base, 'state'), '--http', 'off'];
  let broker: ChildProcess | undefined;
  let log = '';
  beforeAll(async () => {
    broker = spawn(process.execPath, [LEASEHOLD, 'serve', ...places, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
    broker.stderr?.on('data', (chunk: Buffer) => {
      log += chunk.toString();
    });
    const over = once(broker, 'exit').then(([code]) => {
      throw new Error(`the broker ended with ${code} before it was ready: ${log}`);
    });
    over.catch(() => undefined);
    // It says so on stdout when clients can connect.
    await Promise.race([once(broker.stdout as NonNullable<ChildProcess['stdout']>, 'data'), over]);
  });
  afterAll(async () => {
    if (broker !== undefined && broker.exitCode === null && broker.signalCode === null) {
      const exited = once(broker, 'exit');
      broker.kill('SIGTERM');
      await exited;
    }
    rmSync(base, { recursive: true, force: true });
  });
  const sessionOf = async (pid: number): Promise<void> => {
    while (!log.split('\n').some((line) => line.includes(`"clientPid":${pid},`) && line.includes('session opened'))) {
      if (broker?.stderr == null) throw new Error('the broker is not there yet');
      await once(broker.stderr, 'data');
    }
  };
  return { runtimeDir, env: { ...process.env, LEASEHOLD_RUNTIME_DIR: runtimeDir }, sessionOf };
}
