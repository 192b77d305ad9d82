/** What a broker takes of the machine, as the kernel counts it. */
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

/** CPU time of all its threads, ns. */
function cpuNs(pid: number): number {
  const folder = `/proc/${pid}/task`;
  return readdirSync(folder).reduce((sum, thread) => sum + threadNs(`${folder}/${thread}/schedstat`), 0);
}

function threadNs(file: string): number {
  try {
    return Number(readFileSync(file, 'utf8').split(' ')[0]);
  } catch {
    // The thread has ended.
    return 0;
  }
}

/** CPU time in `ms`, per cent of one core. */
export async function cpuPercent(pid: number, ms: number): Promise<number> {
  const startedMs = performance.now();
  const beforeNs = cpuNs(pid);
  await sleep(ms);
  return ((cpuNs(pid) - beforeNs) / 1e6 / (performance.now() - startedMs)) * 100;
}

export const openDescriptors = (pid: number): number => readdirSync(`/proc/${pid}/fd`).length;
