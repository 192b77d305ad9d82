/** What this process still holds when everything that it let go has been collected. */
import { getHeapStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { type Figures, figuresOf } from '../hostile/figures.ts';

export interface Settled extends Figures {
  /** Reachable from JavaScript: objects and the buffers behind them. */
  readonly heapBytes: number;
  /**
   * Resident outside of the pages of the JavaScript heap. How many of those stay when they are empty, up to 100 MiB, depends on how fast
   * the process allocated lately, and so on what else the machine does: nothing that is held shows in it.
   */
  readonly nativeBytes: number;
}

export async function settledMemory(): Promise<Settled> {
  setFlagsFromString('--expose-gc');
  const collectGarbage = runInNewContext('gc') as () => void;
  collectGarbage();
  // What finalizers let go is garbage only afterwards.
  await new Promise((resolve) => setImmediate(resolve));
  collectGarbage();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  const figures = figuresOf('self');
  const nativeBytes = figures.residentBytes - getHeapStatistics().total_physical_size;
  return { ...figures, heapBytes: heapUsed + arrayBuffers, nativeBytes };
}
