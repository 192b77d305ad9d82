/** One broker for the tests of a file, and commands that hold its locks. */
import { connect } from '@leasehold/client';
import { expect, onTestFinished } from 'vitest';
import { leasehold, type RunningProcess } from '../support/processes.ts';
import { type SharedBroker, sharedBroker } from '../support/shared-broker.ts';
import { run, said } from './run.ts';

/** Longer than any test: what ends earlier ends because of what happened. */
export const LONG_MS = '600000';

/** What `leases --format json` says of one mapping. */
export interface Listed {
  readonly mappingName: string;
  readonly dirty: boolean;
  readonly holders: readonly { readonly holdId: string; readonly overdue: boolean }[];
  readonly waiters: readonly { readonly holdId: string }[];
}

export interface LeaseBroker extends SharedBroker {
  /** Makes a mapping for the test. */
  mapping(name: string): Promise<void>;
  /**
   * `leasehold lease NAME`, when it has the lease. The command under it ends with its stdin, or when that signal has reached it: then
   * it says which, and exits with 9.
   */
  hold(name: string, flags?: readonly string[], signal?: NodeJS.Signals): Promise<Holder>;
  /** Waits for the lease and gives it back. Resolves with `1` when its data was in doubt, else `0`. */
  next(name: string, flags?: readonly string[]): Promise<string>;
  listed(name: string): Promise<Listed>;
}

export interface Holder extends RunningProcess {
  /** Of the command under the lease. */
  readonly childPid: number;
}

/** Call it where hooks can be registered. */
export function leaseBroker(): LeaseBroker {
  const broker = sharedBroker();
  const { env, runtimeDir } = broker;
  return {
    ...broker,
    mapping: async (name) => {
      const client = await connect({ runtimeDir });
      onTestFinished(async () => {
        await client.deleteMapping(name);
        await client.close();
      });
      await client.createMapping(name, { sizeBytes: 1, persistent: true });
    },
    hold: async (name, flags = [], signal = 'SIGTERM') => {
      const command = [process.execPath, '-e', holding(signal)];
      const running = leasehold(['lease', name, ...flags, '--', ...command], { env });
      // The command's end, too, when the leasehold over it was killed.
      onTestFinished(() => void running.child.stdin?.end());
      const [, childPid] = /held (\d+)\n/.exec(await said(running, /held \d+\n/)) ?? [];
      return { ...running, childPid: Number(childPid) };
    },
    next: async (name, flags = []) => {
      const command = ['sh', '-c', 'echo "$LEASEHOLD_PREVIOUS_OWNER_DIED"'];
      const { code, out, err } = await run(env, ['lease', name, '--wait-ms', LONG_MS, ...flags, '--', ...command]);
      expect({ code, err }).toEqual({ code: 0, err: '' });
      return out.trim();
    },
    listed: async (name) => {
      const { out, err } = await run(env, ['leases', '--prefix', name, '--format', 'json']);
      expect(err).toBe('');
      const { mappings }: { mappings: Listed[] } = JSON.parse(out);
      return mappings[0] ?? { mappingName: name, dirty: false, holders: [], waiters: [] };
    },
  };
}

/** A script for node: says `held` and its pid, then ends with its stdin, or by that signal. */
export const holding = (signal: NodeJS.Signals): string => `
  process.on('${signal}', () => { console.log('${signal}'); process.exit(9); });
  process.stdin.resume().on('end', () => process.exit(0));
  console.log('held', process.pid);`;
