/** What the figures are measured on, and on which of its cores. */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { cpus, release, totalmem } from 'node:os';
import type { Machine } from './report-model.ts';

export function describeMachine(cores: Machine['cores']): Machine {
  const all = cpus();
  return {
    cpuModel: all[0]?.model.trim() ?? 'unknown',
    cpuCount: all.length,
    memoryBytes: totalmem(),
    kernel: release(),
    node: process.version,
    cores,
  };
}

/** Two cores for the two sides, no hyperthreads of one core; null without `taskset` or without two such cores. */
export function chooseCores(): Machine['cores'] {
  if (spawnSync('taskset', ['--version']).status !== 0) return null;
  const allowed = numbersIn(/Cpus_allowed_list:\s*(\S+)/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '');
  const [near] = allowed;
  if (near === undefined) return null;
  const siblings = siblingsOf(near);
  const far = allowed.find((core) => core !== near && !siblings.includes(core));
  return far === undefined ? null : [near, far];
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

function siblingsOf(core: number): number[] {
  try {
    return numbersIn(readFileSync(`/sys/devices/system/cpu/cpu${core}/topology/thread_siblings_list`, 'utf8'));
  } catch {
    // Not every kernel says; two numbers are two cores then.
    return [core];
  }
}
