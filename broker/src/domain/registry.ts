/**
 * Names, and the mappings behind them. Invariants: a name has one owner, from the moment its creation begins; a creation that fails
 * or is cancelled leaves nothing behind; a mapping that lost its name gives its memory back when nobody can touch it any more.
 */
import { LeaseholdError } from '@leasehold/proto';
import { initialiseChannel, type PageKind, type Progress } from '@leasehold/shm-core/internal';
import type { Charge, Charges } from './charge.ts';
import { memoryError } from './memory-error.ts';
import { OwnedMapping } from './owned-mapping.ts';
import type { Clock, MappingMemory, MemorySource } from './ports.ts';
import type { Session } from './session.ts';
import { geometryOf, type IfExists, requireSame, type Specification } from './specification.ts';

export type MappingChange = 'created' | 'changed' | 'deleted';
export type MappingWatcher = (change: MappingChange, mapping: OwnedMapping) => void;

/** A name that is taken although its memory is not there yet. */
interface Creating {
  readonly creating: true;
  /** Aborted: it is being undone, and the name will be free. */
  readonly signal: AbortSignal;
  /** Settles when the name is owned or free again. */
  readonly finished: Promise<void>;
}

export interface CreateOptions {
  readonly ifExists: IfExists;
  readonly signal: AbortSignal;
  /** Told while memory is being populated for this creation. */
  readonly onProgress?: Progress | undefined;
}

export interface RegistryOptions {
  readonly clock: Clock;
  readonly memory: MemorySource;
  readonly charges: Charges;
  /** Fencing tokens of a new mapping are above this one. @throws {LeaseholdError} TOKENS_EXHAUSTED */
  readonly beginAfter: () => bigint;
  /** Name of the broker's doorbell, 16 raw bytes. */
  readonly brokerBell: Uint8Array;
  /** Gives a mapping its lock, and makes a channel of it, before it gets its name. */
  readonly prepare: (mapping: OwnedMapping) => void;
}

export class Registry {
  readonly #options: RegistryOptions;
  readonly #names = new Map<string, OwnedMapping | Creating>();
  /** Condemned ones too, until their memory is given back. */
  readonly #byId = new Map<bigint, OwnedMapping>();
  readonly #watchers = new Set<MappingWatcher>();
  #lastId = 0n;
  #closed = false;

  constructor(options: RegistryOptions) {
    this.#options = options;
  }

  /**
   * @throws {LeaseholdError} MAPPING_EXISTS, CHANNEL_EXISTS, SPEC_MISMATCH, QUOTA_EXCEEDED, OUT_OF_MEMORY,
   *   LARGE_PAGES_UNAVAILABLE, ABORTED
   */
  async create(
    creator: Session,
    specification: Specification,
    options: CreateOptions,
  ): Promise<{ mapping: OwnedMapping; created: boolean }> {
    const { ifExists, signal } = options;
    for (;;) {
      throwIfAborted(signal);
      const found = this.#names.get(specification.name);
      if (found === undefined) return { mapping: await this.#make(creator, specification, options), created: true };
      const beingUndone = !(found instanceof OwnedMapping) && found.signal.aborted;
      if (ifExists === 'fail' && !beingUndone) throw exists(specification);
      if (found instanceof OwnedMapping) {
        requireSame(found.specification, specification);
        found.keep(creator);
        return { mapping: found, created: false };
      }
      await settledOrAborted(found.finished, signal);
    }
  }

  async #make(creator: Session, specification: Specification, options: CreateOptions): Promise<OwnedMapping> {
    const { charges, memory, clock, beginAfter } = this.#options;
    const charge = charges.open({
      uid: creator.peer.uid,
      controlBytes: memory.basePageBytes,
      reservedBytes: specification.kind === 'mapping' ? specification.reserveBytes : 0,
    });
    this.#lastId += 1n;
    const id = this.#lastId;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#names.set(specification.name, { creating: true, signal: options.signal, finished: promise });
    let made: MappingMemory | undefined;
    try {
      made = await this.#reserve(id, specification, charge, options);
      charge.settle(made.grant.mappedBytes);
      const mapping = new OwnedMapping({
        id,
        specification,
        memory: made,
        charge,
        creator,
        createTimeMs: clock.nowMs(),
        createdNs: clock.nowNs(),
        firstToken: beginAfter(),
      });
      this.#options.prepare(mapping);
      this.#names.set(specification.name, mapping);
      this.#byId.set(id, mapping);
      this.changed(mapping, 'created');
      return mapping;
    } catch (error) {
      made?.close();
      charge.release();
      this.#byId.delete(id);
      this.#names.delete(specification.name);
      throw error;
    } finally {
      resolve();
    }
  }

  async #reserve(
    id: bigint,
    specification: Specification,
    charge: Charge,
    { signal, onProgress }: CreateOptions,
  ): Promise<MappingMemory> {
    let made: MappingMemory;
    try {
      made = await this.#options.memory.create({
        ...layoutOf(id, specification),
        id,
        label: `leasehold.${id}`,
        brokerBell: this.#options.brokerBell,
        pages: specification.pages,
        maxParticipants: specification.maxParticipants,
        admit: (bytes: number, kind: PageKind, unpopulatedBytes?: number) =>
          charge.admit(bytes, kind, unpopulatedBytes),
        onProgress,
        signal,
      });
    } catch (error) {
      throw signal.aborted ? aborted(signal) : memoryError(error);
    }
    if (!signal.aborted) return made;
    made.close();
    throw aborted(signal);
  }

  /** @throws {LeaseholdError} MAPPING_NOT_FOUND */
  require(name: string): OwnedMapping {
    return this.find(name) ?? notFound('MAPPING_NOT_FOUND', 'mapping', name);
  }

  /** @throws {LeaseholdError} CHANNEL_NOT_FOUND, NOT_A_CHANNEL */
  requireChannel(name: string): OwnedMapping & { channel: NonNullable<OwnedMapping['channel']> } {
    const mapping = this.find(name) ?? notFound('CHANNEL_NOT_FOUND', 'channel', name);
    if (isChannel(mapping)) return mapping;
    throw new LeaseholdError('NOT_A_CHANNEL', `${JSON.stringify(name)} is a plain mapping.`, { metadata: { name } });
  }

  find(name: string): OwnedMapping | undefined {
    const found = this.#names.get(name);
    return found instanceof OwnedMapping ? found : undefined;
  }

  /** Condemned ones too. */
  byId(id: bigint): OwnedMapping | undefined {
    return this.#byId.get(id);
  }

  /** Condemned ones too. */
  all(): OwnedMapping[] {
    return [...this.#byId.values()];
  }

  /** Those that have a name starting so, by name. */
  list(prefix = ''): OwnedMapping[] {
    const found: OwnedMapping[] = [];
    for (const mapping of this.#names.values()) {
      if (mapping instanceof OwnedMapping && mapping.name.startsWith(prefix)) found.push(mapping);
    }
    return found.sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** @returns how to stop */
  watch(watcher: MappingWatcher): () => void {
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  }

  changed(mapping: OwnedMapping, change: MappingChange = 'changed'): void {
    if (change === 'changed' && mapping.condemned) return;
    for (const watcher of [...this.#watchers]) watcher(change, mapping);
  }

  /** Takes the name away, at once. The memory follows when nobody can touch it. */
  condemn(mapping: OwnedMapping): void {
    if (mapping.condemned) return;
    mapping.condemned = true;
    this.#names.delete(mapping.name);
    mapping.letGo();
    mapping.growing?.abort(deletedMeanwhile(mapping.name));
    mapping.memory.markDeleted();
    this.changed(mapping, 'deleted');
    this.reclaim(mapping);
  }

  /**
   * Forgets a mapping that nothing keeps: neither its lifetime, nor a session that asked for it, nor an attachment. Subscribers of a
   * finished stream do not keep its channel: they drain what is there.
   */
  forgetIfUnused(mapping: OwnedMapping): void {
    if (
      this.#closed ||
      mapping.condemned ||
      mapping.specification.lifetime === 'persistent' ||
      mapping.keepers.size > 0
    )
      return;
    if (mapping.inUse && mapping.channel?.finished !== true) return;
    this.condemn(mapping);
  }

  /** Gives the memory of a condemned mapping back once no process can touch it. */
  reclaim(mapping: OwnedMapping): void {
    if (!mapping.condemned || mapping.members.size > 0) return;
    if (!this.#byId.delete(mapping.id)) return;
    try {
      mapping.memory.close();
    } finally {
      mapping.charge.release();
    }
  }

  /** Everything goes, whoever uses it: the broker ends. */
  close(): void {
    this.#closed = true;
    this.#watchers.clear();
    for (const mapping of this.#byId.values()) {
      mapping.lock.freeze();
      mapping.memory.close();
      for (const member of mapping.members.values()) member.taken.release();
      mapping.charge.release();
    }
    this.#byId.clear();
    this.#names.clear();
  }
}

function isChannel(mapping: OwnedMapping): mapping is OwnedMapping & { channel: NonNullable<OwnedMapping['channel']> } {
  return mapping.channel !== null;
}

function layoutOf(id: bigint, specification: Specification) {
  const { locked, numaNode } = specification;
  const placed = { locked, numaNode: numaNode ?? undefined };
  if (specification.kind === 'mapping') {
    const { payloadBytes, reserveBytes } = specification;
    return { ...placed, payloadBytes, reserveBytes };
  }
  const geometry = geometryOf(specification);
  const head = specification.firstSequence - 1;
  return {
    ...placed,
    payloadBytes: geometry.totalBytes,
    head,
    layOut: (data: Parameters<typeof initialiseChannel>[0]) => initialiseChannel(data, geometry, id, head),
  };
}

export function deletedMeanwhile(name: string): LeaseholdError {
  return new LeaseholdError('MAPPING_DELETED', `${JSON.stringify(name)} was deleted.`, { metadata: { name } });
}

function exists({ kind, name }: Specification): LeaseholdError {
  const code = kind === 'channel' ? 'CHANNEL_EXISTS' : 'MAPPING_EXISTS';
  return new LeaseholdError(code, `The name ${JSON.stringify(name)} is taken.`, { metadata: { name } });
}

function notFound(code: 'MAPPING_NOT_FOUND' | 'CHANNEL_NOT_FOUND', what: string, name: string): never {
  const shown = name.slice(0, 200).toWellFormed();
  throw new LeaseholdError(code, `There is no ${what} ${JSON.stringify(shown)}.`, { metadata: { name: shown } });
}

function aborted(signal: AbortSignal): LeaseholdError {
  if (signal.reason instanceof LeaseholdError) return signal.reason;
  return new LeaseholdError('ABORTED', 'The creation was cancelled.', { cause: signal.reason });
}

function throwIfAborted(signal: AbortSignal): void {
  if (signal.aborted) throw aborted(signal);
}

async function settledOrAborted(finished: Promise<void>, signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const wake = () => resolve();
  signal.addEventListener('abort', wake, { once: true });
  try {
    await Promise.race([finished, promise]);
  } finally {
    signal.removeEventListener('abort', wake);
  }
}
