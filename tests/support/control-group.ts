/** A control group with a limit of memory, below the one that this process is in. Removed when the test is over. */
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished } from 'vitest';

export interface MemoryGroup {
  /** Where a process writes its number to be in it. */
  readonly procs: string;
}

interface Hierarchy {
  readonly directory: string;
  /** The file that has its limit. */
  readonly limit: string;
}

/** Where groups with a limit of memory can be made; version 1 first, because a machine that has it limits memory there. */
function hierarchies(): Hierarchy[] {
  const found: Hierarchy[] = [];
  for (const line of readFileSync('/proc/self/cgroup', 'utf8').trim().split('\n')) {
    const [, id, controllers, path = ''] = /^(\d+):([^:]*):(.*)$/.exec(line) ?? [];
    if (controllers?.split(',').includes('memory')) {
      found.unshift({ directory: join('/sys/fs/cgroup/memory', path), limit: 'memory.limit_in_bytes' });
    } else if (id === '0') {
      found.push({ directory: join('/sys/fs/cgroup', path), limit: 'memory.max' });
    }
  }
  return found;
}

function makeIn({ directory, limit }: Hierarchy, limitBytes: number): string | Error {
  const group = join(directory, `leasehold-test-${process.pid}`);
  try {
    mkdirSync(group);
  } catch (error) {
    return error as Error;
  }
  try {
    if (!existsSync(join(group, limit))) throw new Error(`memory is not limited in ${directory}`);
    writeFileSync(join(group, limit), String(limitBytes));
    return group;
  } catch (error) {
    rmdirSync(group);
    return error as Error;
  }
}

function makeGroup(limitBytes: number): string {
  const reasons: string[] = [];
  for (const hierarchy of hierarchies()) {
    const made = makeIn(hierarchy, limitBytes);
    if (typeof made === 'string') return made;
    reasons.push(made.message);
  }
  throw new Error(`no control group can be made: ${reasons.join('; ') || 'there is no hierarchy of them'}`);
}

/** Why a test cannot have a control group; empty when it can. */
export function whyNoControlGroup(): string {
  try {
    rmdirSync(makeGroup(2 ** 30));
    return '';
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** Until the test is over; by then what was in it must have ended. */
export function needControlGroup(limitBytes: number): MemoryGroup {
  const group = makeGroup(limitBytes);
  onTestFinished(async () => {
    // The kernel takes a moment to forget who has just ended.
    await expect.poll(() => rmdirSync(group), { timeout: 10_000 }).toBe(undefined);
  });
  return { procs: join(group, 'cgroup.procs') };
}
