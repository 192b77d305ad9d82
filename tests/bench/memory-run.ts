/** One run of the memory benchmark: a broker of its own, one process that asks for mappings, one that uses them, and the kernel's pools put back at the end. */
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chooseCores, describeMachine } from 'leasehold/bench';
import { measureBlocks } from './memory-block-run.ts';
import type { MemoryReport } from './memory-figures.ts';
import { measureHealth } from './memory-health.ts';
import { Lab, type MemorySide } from './memory-lab.ts';
import { measurePages } from './memory-pages.ts';
import { FULL, QUICK } from './memory-plan.ts';
import { HugePagePools } from './memory-pool.ts';
import { Side, startBroker, stop } from './memory-processes.ts';
import { measureReserves, measureResizes } from './memory-resize.ts';
import type { MemoryQuestion } from './memory-worker.ts';

const WORKER = fileURLToPath(new URL('memory-worker.ts', import.meta.url));
const TRANSPARENT = '/sys/kernel/mm/transparent_hugepage';
/** The devices by which a virtual machine gives memory back, and the bit of free page reporting (VIRTIO_BALLOON_F_REPORTING). */
const BALLOONS = '/sys/bus/virtio/drivers/virtio_balloon';
const REPORTING_BIT = 5;

/** `tell` hears what is measured next. */
export async function runMemoryBench(quick: boolean, tell: (what: string) => void): Promise<MemoryReport> {
  const startedMs = performance.now();
  const machine = describeMachine(chooseCores());
  const directory = mkdtempSync(join(tmpdir(), 'lh-memory-'));
  const runtimeDir = join(directory, 'run');
  const pools = new HugePagePools();
  const started: { stop(): Promise<void> }[] = [];
  const over = interruption();
  // Whoever waits is told; nobody does while the broker starts.
  over.catch(() => undefined);
  try {
    const broker = await startBroker(runtimeDir, join(directory, 'state'));
    started.unshift({ stop: () => stop(broker) });
    const side = (role: string, core: number | null): MemorySide => {
      const made = new Side<MemoryQuestion>(role, core, runtimeDir, directory, WORKER);
      started.unshift({ stop: () => stop(made.child) });
      return made;
    };
    const creator = side('creator', machine.cores?.[0] ?? null);
    const user = side('user', machine.cores?.[1] ?? null);
    const plan = quick ? QUICK : FULL;
    const lab = new Lab({ plan, creator, user, brokerPid: broker.pid ?? 0, pools }, tell);
    const measured = await Promise.race([measureAll(lab), over]);
    const tookSeconds = (performance.now() - startedMs) / 1_000;
    return { machine, ...kernelPolicies(), quick, tookSeconds, ...measured };
  } finally {
    for (const process of started) await process.stop();
    pools.restore();
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Rejects when somebody wants the run to end, so that what was started is ended and what was changed is put back. */
async function interruption(): Promise<never> {
  await Promise.race([once(process, 'SIGINT'), once(process, 'SIGTERM')]);
  throw new Error('interrupted');
}

type KernelPolicies = Pick<MemoryReport, 'transparent' | 'freeMemoryReported'>;
type Measured = Omit<MemoryReport, keyof KernelPolicies | 'machine' | 'quick' | 'tookSeconds'>;

async function measureAll(lab: Lab): Promise<Measured> {
  const { touches, walks } = await measurePages(lab);
  const blocks = { sizeBytes: lab.plan.blocks.sizeBytes, results: await measureBlocks(lab) };
  const health = await measureHealth(lab);
  const resizes = await measureResizes(lab);
  const reserves = await measureReserves(lab);
  return { touches, walks, blocks, health, resizes, reserves, notMeasured: lab.notMeasured };
}

function kernelPolicies(): KernelPolicies {
  const chosen = (file: string): string =>
    /\[(\w+)\]/.exec(readOr('not there', `${TRANSPARENT}/${file}`))?.[1] ?? 'not there';
  return {
    transparent: { anonymous: chosen('enabled'), shared: chosen('shmem_enabled') },
    freeMemoryReported: reportsFreeMemory(),
  };
}

function reportsFreeMemory(): boolean {
  if (!existsSync(BALLOONS)) return false;
  return readdirSync(BALLOONS).some((device) => readOr('', `${BALLOONS}/${device}/features`)[REPORTING_BIT] === '1');
}

function readOr(missing: string, path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return missing;
  }
}
