/** Brokers of a run's own: nobody else's is touched, and nothing that is set for another one applies to them. */
import { join } from 'node:path';
import { type Crew, type Member, programPath } from './processes.ts';

export type BrokerQuestion = 'is it serving?' | 'what memory does it have?';

/** After a garbage collection. */
export interface SettledMemory {
  readonly residentBytes: number;
  /** JavaScript objects. */
  readonly heapBytes: number;
}

export interface BenchBroker {
  readonly process: Member<BrokerQuestion>;
  readonly runtimeDir: string;
}

/** Resolves when clients can connect. `args`: more of `leasehold serve`. */
export async function startBroker(crew: Crew, directory: string, args: readonly string[] = []): Promise<BenchBroker> {
  const runtimeDir = join(directory, 'run');
  const places = ['--runtime-dir', runtimeDir, '--state-dir', join(directory, 'state')];
  const behaviour = ['--http', 'off', '--drain-ms', '1000', '--log-level', 'error'];
  const broker = crew.start<BrokerQuestion>({
    name: 'broker',
    program: programPath('broker-program.js'),
    args: [...places, ...behaviour, ...args],
    env: environment(),
  });
  await broker.ask('is it serving?');
  return { process: broker, runtimeDir };
}

/** Of a process of the run; with the directory it finds the run's broker. */
export function environment(runtimeDir?: string): Record<string, string | undefined> {
  const ours = Object.entries(process.env).filter(([name]) => !name.startsWith('LEASEHOLD_'));
  return { ...Object.fromEntries(ours), ...(runtimeDir !== undefined && { LEASEHOLD_RUNTIME_DIR: runtimeDir }) };
}
