/**
 * Figures of the broker's own process, under the names that Prometheus dashboards expect. prom-client's collection of them cannot be
 * stopped again, and a program may run several brokers one after the other.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { Counter, Gauge, type Registry } from 'prom-client';
import { openFiles } from '../descriptors.ts';

/** How often the event loop is looked at. Its delay is what a look comes late. */
const DELAY_RESOLUTION_MS = 50;
/** It wakes the process twenty times a second, so it is measured only while somebody reads it at least this often. */
const DELAY_READ_MS_MAX = 300_000;
/** Not called `quantile`: that label belongs to summaries. */
const SHARES = [0.5, 0.99, 1];

export interface ProcessMetrics {
  update(): void;
  close(): void;
}

export function addProcessMetrics(registry: Registry): ProcessMetrics {
  const gauge = (name: string, help: string, labelNames: string[] = []) =>
    new Gauge({ name, help, labelNames, registers: [registry] });
  const cpu = new Counter({
    name: 'process_cpu_seconds_total',
    help: 'User and system CPU time.',
    registers: [registry],
  });
  const resident = gauge('process_resident_memory_bytes', 'Resident memory.');
  const heap = gauge('nodejs_heap_size_used_bytes', 'JavaScript heap in use.');
  const external = gauge('nodejs_external_memory_bytes', 'Memory outside the heap that JavaScript objects hold.');
  const openFds = gauge('process_open_fds', 'Open file descriptors.');
  const started = gauge('process_start_time_seconds', 'When the process started, seconds since 1970.');
  const delay = gauge(
    'leasehold_event_loop_delay_seconds',
    'Delay that this share of the turns stayed below, since the last reading; 0 when that is more than 5 minutes ago.',
    ['share'],
  );
  const loopDelay = measureLoopDelay();
  started.set(Math.round(Date.now() / 1000 - process.uptime()));
  return {
    update() {
      const used = process.memoryUsage();
      const { user, system } = process.cpuUsage();
      cpu.reset();
      cpu.inc((user + system) / 1e6);
      resident.set(used.rss);
      heap.set(used.heapUsed);
      external.set(used.external);
      openFds.set(openFiles());
      const delays = loopDelay.read();
      for (const [index, share] of SHARES.entries()) delay.set({ share }, delays[index] ?? 0);
    },
    close: () => loopDelay.close(),
  };
}

/** Measures from one reading to the next, unless the next is long in coming. */
function measureLoopDelay() {
  const histogram = monitorEventLoopDelay({ resolution: DELAY_RESOLUTION_MS });
  let forgotten: NodeJS.Timeout | undefined;
  const close = () => {
    clearTimeout(forgotten);
    histogram.disable();
  };
  return {
    /** Of each of SHARES, s. */
    read(): number[] {
      const delays = SHARES.map((share) => delaySeconds(histogram.percentile(share * 100)));
      histogram.reset();
      histogram.enable();
      clearTimeout(forgotten);
      forgotten = setTimeout(close, DELAY_READ_MS_MAX).unref();
      return delays;
    },
    close,
  };
}

function delaySeconds(intervalNs: number): number {
  // With no turn counted it is no number.
  if (!Number.isFinite(intervalNs)) return 0;
  return Math.max(0, intervalNs - DELAY_RESOLUTION_MS * 1e6) / 1e9;
}
