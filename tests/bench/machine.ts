/** What the figures were measured on, and on which of its cores. */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { cpus, release, totalmem } from 'node:os';

export interface Cores {
  readonly sender: number;
  readonly receiver: number;
}

export interface Machine {
  readonly cpuModel: string;
  readonly cpuCount: number;
  readonly memoryBytes: number;
  readonly kernel: string;
  readonly node: string;
  /** Null: the scheduler decided. */
  readonly pinned: Cores | null;
}

export function describeMachine(pinned: Cores | null): Machine {
  const all = cpus();
  return {
    cpuModel: all[0]?.model.trim() ?? 'unknown',
    cpuCount: all.length,
    memoryBytes: totalmem(),
    kernel: release(),
    node: process.version,
    pinned,
  };
}

/** The numbers in a kernel list such as `0-3,8`. */
function numbersIn(list: string): number[] {
  return list
    .trim()
    .split(',')
    .flatMap((range) => {
      const [first = Number.NaN, last = first] = range.split('-').map(Number);
      return Array.from({ length: last - first + 1 }, (_, index) => first + index);
    });
}

/** Two cores for the two sides, no hyperthreads of one core; null without `taskset` or without two such cores. */
export function chooseCores(): Cores | null {
  if (spawnSync('taskset', ['--version']).status !== 0) return null;
  const allowed = numbersIn(/Cpus_allowed_list:\s*(\S+)/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '');
  const [sender] = allowed;
  if (sender === undefined) return null;
  const siblings = siblingsOf(sender);
  const receiver = allowed.find((cpu) => cpu !== sender && !siblings.includes(cpu));
  return receiver === undefined ? null : { sender, receiver };
}

function siblingsOf(cpu: number): number[] {
  try {
    return numbersIn(readFileSync(`/sys/devices/system/cpu/cpu${cpu}/topology/thread_siblings_list`, 'utf8'));
  } catch {
    // Not every kernel says; two numbers are two cores then.
    return [cpu];
  }
}
