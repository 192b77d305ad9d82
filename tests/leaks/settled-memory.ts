/** What this process still holds when everything that it let go has been collected. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { type Figures, figuresOf } from '../hostile/figures.ts';

export interface Settled extends Figures {
  /** Reachable from JavaScript: objects and the buffers behind them. */
  readonly heapBytes: number;
}

export async function settledMemory(): Promise<Settled> {
  setFlagsFromString('--expose-gc');
  const collectGarbage = runInNewContext('gc') as () => void;
  collectGarbage();
  // What finalizers let go is garbage only afterwards.
  await new Promise((resolve) => setImmediate(resolve));
  collectGarbage();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return { ...figuresOf('self'), heapBytes: heapUsed + arrayBuffers };
}
