/** The processes of a run of the memory benchmark: a broker of its own and two sides, each on its core. Whoever ends early fails the run. */
import { type ChildProcess, fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const LEASEHOLD = fileURLToPath(new URL('../../cli/bin/leasehold.js', import.meta.url));
/** A side that does not answer in this time never will. */
const ANSWER_LIMIT_MS = 120_000;

/** Starts `leasehold serve` and resolves when clients can connect. */
export async function startBroker(runtimeDir: string, stateDir: string): Promise<ChildProcess> {
  const args = ['serve', '--runtime-dir', runtimeDir, '--state-dir', stateDir, '--http', 'off', '--log-level', 'warn'];
  const child = spawn(process.execPath, [LEASEHOLD, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  for await (const line of createInterface({ input: child.stdout })) {
    if (!line.startsWith('leasehold: serving')) continue;
    child.stdout.resume();
    return child;
  }
  throw new Error('the broker ended before it served');
}

/** Ends a process that this run started. */
export async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  await ended;
}

export class Side<Asked> {
  readonly child: ChildProcess;
  readonly #role: string;

  /** `core`: null leaves it to the scheduler. `worker`: the program, which is told its role and the directory. */
  constructor(role: string, core: number | null, runtimeDir: string, directory: string, worker: string) {
    this.#role = role;
    const pin = core === null ? {} : { execPath: 'taskset', execArgv: ['--cpu-list', String(core), process.execPath] };
    this.child = fork(worker, [role, directory], {
      serialization: 'advanced',
      env: { ...process.env, LEASEHOLD_RUNTIME_DIR: runtimeDir },
      ...pin,
    });
  }

  /** One question at a time. */
  async ask<T>(question: Asked): Promise<T> {
    const over = new AbortController();
    const ended = once(this.child, 'exit', over).then(([code, signal]) => {
      throw new Error(`the ${this.#role} ended (${code ?? signal})`);
    });
    ended.catch(() => undefined);
    const limit = AbortSignal.timeout(ANSWER_LIMIT_MS);
    const answered = once(this.child, 'message', { signal: AbortSignal.any([over.signal, limit]) });
    this.child.send({ question });
    try {
      const [reply] = (await Promise.race([answered, ended])) as [{ error?: string; value: T }];
      if (reply.error !== undefined) throw new Error(`the ${this.#role}: ${reply.error}`);
      return reply.value;
    } finally {
      answered.catch(() => undefined);
      over.abort();
    }
  }
}
