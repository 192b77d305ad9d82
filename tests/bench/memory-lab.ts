/** What every measurement of memory works with: the processes, the pools, and the list of what could not be measured. */
import { readFileSync } from 'node:fs';
import type { NotMeasured } from './memory-figures.ts';
import { type Kind, type MemoryPlan, POLICY, poolKindOf, tooSmallFor } from './memory-plan.ts';
import type { HugePagePools } from './memory-pool.ts';
import type { Side } from './memory-processes.ts';
import { bytesText } from './memory-report.ts';
import type { Created } from './memory-side.ts';
import type { MemoryQuestion } from './memory-worker.ts';

/** Free memory that is left alone, B. */
const SPARE_BYTES = 2 ** 30;

export type MemorySide = Side<MemoryQuestion>;

export class Lab {
  readonly plan: MemoryPlan;
  /** Asks for mappings. */
  readonly creator: MemorySide;
  /** Has them attached; on another core. */
  readonly user: MemorySide;
  readonly brokerPid: number;
  readonly pools: HugePagePools;
  readonly #tell: (what: string) => void;
  readonly #told = new Set<string>();
  readonly #missed = new Map<string, string>();

  /** `tell` hears what is measured next, once each. */
  constructor(given: Pick<Lab, 'plan' | 'creator' | 'user' | 'brokerPid' | 'pools'>, tell: (what: string) => void) {
    this.#tell = tell;
    this.plan = given.plan;
    this.creator = given.creator;
    this.user = given.user;
    this.brokerPid = given.brokerPid;
    this.pools = given.pools;
  }

  get notMeasured(): NotMeasured[] {
    return [...this.#missed].map(([what, why]) => ({ what, why }));
  }

  miss(what: string, why: string): void {
    this.#missed.set(what, why);
  }

  /**
   * Makes room in the pools for `bytes` of that kind, runs `measure`, and notes why if that does not succeed: null then, and at once
   * whenever it is tried again.
   */
  async attempt<T>(what: string, kind: Kind, bytes: number, measure: () => Promise<T>): Promise<T | null> {
    if (this.#missed.has(what)) return null;
    if (tooSmallFor(kind, bytes)) return null;
    const spare = memoryNumber('MemAvailable') - bytes;
    if (spare < SPARE_BYTES) {
      this.miss(what, `${bytesText(bytes)} would leave less than ${bytesText(SPARE_BYTES)} of memory free`);
      return null;
    }
    const short = this.pools.provide(poolKindOf(kind), bytes);
    if (!this.#told.has(what)) this.#tell(what);
    this.#told.add(what);
    try {
      return await measure();
    } catch (error) {
      // IMPORTANT: a process that is gone, or a run that is over, must not go on and set the pools again.
      if (!this.creator.child.connected || !this.user.child.connected) throw error;
      const why = error instanceof Error ? error.message : String(error);
      this.miss(what, short === null ? why : `${short} (${why})`);
      return null;
    }
  }

  /**
   * Makes it and deletes it again, so that the memory that is taken next has been taken before: the host of a virtual machine gives
   * memory at its first touch only, and may take free memory back. How long that first creation took, ns. @throws Error as `create`.
   */
  async warmUp(name: string, sizeBytes: number, kind: Kind): Promise<number> {
    const { tookNs } = await this.create(name, sizeBytes, kind);
    await this.creator.ask({ do: 'delete', name });
    return tookNs;
  }

  /** @throws Error when the broker granted pages of another kind, after it deleted the mapping. */
  async create(name: string, sizeBytes: number, kind: Kind): Promise<Created> {
    const created = await this.creator.ask<Created>({ do: 'create', name, sizeBytes, pages: POLICY[kind] });
    const { pageKind, fallbackReason } = created.memory;
    if (pageKind === kind) return created;
    await this.creator.ask({ do: 'delete', name });
    throw new Error(`the broker granted ${pageKind}${fallbackReason === null ? '' : `, for ${fallbackReason}`}`);
  }
}

/** A line of /proc/meminfo, or of another file of its form: B, or a count where no unit is given. */
export function memoryNumber(key: string, file = '/proc/meminfo'): number {
  const [, number, unit] = new RegExp(`^${key}:\\s+(\\d+)( kB)?$`, 'm').exec(readFileSync(file, 'utf8')) ?? [];
  if (number === undefined) throw new Error(`${file} has no ${key}`);
  return Number(number) * (unit === undefined ? 1 : 1_024);
}

/** Samples by what they are of, in the order in which they were first met. */
export class Samples<Key extends object> {
  readonly #all = new Map<string, { readonly key: Key; readonly values: number[] }>();

  add(key: Key, ...values: number[]): void {
    const id = JSON.stringify(key);
    const known = this.#all.get(id) ?? { key, values: [] };
    this.#all.set(id, known);
    for (const value of values) known.values.push(value);
  }

  of(key: Key): readonly number[] {
    return this.#all.get(JSON.stringify(key))?.values ?? [];
  }

  map<T>(each: (key: Key, values: readonly number[]) => T): T[] {
    return [...this.#all.values()].map(({ key, values }) => each(key, values));
  }
}
