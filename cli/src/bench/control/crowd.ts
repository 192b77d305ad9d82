/** Many mappings, and many sessions that have each asked for something once and are silent since. */
import { type Broker, connect } from '@leasehold/client';
import { BYTES } from './calls.ts';

/** How many are made at a time. */
const AT_ONCE = 16;
const MAPPING = 'bench/crowd/mapping';

export class Crowd {
  readonly #runtimeDir: string;
  readonly #sessions: Broker[] = [];

  constructor(runtimeDir: string) {
    this.#runtimeDir = runtimeDir;
  }

  /** They outlive whoever makes them. */
  async addMappings(count: number): Promise<void> {
    await using broker = await connect({ runtimeDir: this.#runtimeDir, name: 'bench-crowd' });
    await atOnce(count, async (index) => {
      await broker.createMapping(`${MAPPING}-${index}`, { sizeBytes: BYTES, persistent: true });
    });
  }

  async addSessions(count: number): Promise<void> {
    await atOnce(count, async (index) => {
      const broker = await connect({ runtimeDir: this.#runtimeDir, name: `bench-crowd-${index}` });
      this.#sessions.push(broker);
      // Its gRPC connection is there from the first call.
      await broker.info();
    });
  }
}

async function atOnce(count: number, work: (index: number) => Promise<void>): Promise<void> {
  let next = 0;
  const run = async (): Promise<void> => {
    for (let index = next++; index < count; index = next++) await work(index);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, run));
}
