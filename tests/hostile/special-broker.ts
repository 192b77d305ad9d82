/** A broker whose limits and policy a test chooses, in a process of its own. */
import { join } from 'node:path';
import type { Settled } from '../leaks/settled-memory.ts';
import { startWorker } from '../support/processes.ts';
import { tempDir } from '../support/temp-dir.ts';
import type { SpecialOptions } from '../workers/hostile-broker.ts';
import { heldBy } from './figures.ts';

export interface SpecialBroker {
  readonly runtimeDir: string;
  readonly pid: number;
  /** Descriptors and shared memory that it has. */
  held(): ReturnType<typeof heldBy>;
  /** After a garbage collection. */
  settledMemory(): Promise<Settled>;
}

export async function startSpecialBroker(options: SpecialOptions): Promise<SpecialBroker> {
  const base = tempDir();
  const runtimeDir = join(base, 'run');
  const worker = startWorker('hostile-broker', [runtimeDir, join(base, 'state'), JSON.stringify(options)]);
  await worker.ask('ready');
  return {
    runtimeDir,
    pid: worker.pid,
    held: () => heldBy(worker.pid),
    settledMemory: () => worker.ask<Settled>('settled-memory'),
  };
}
