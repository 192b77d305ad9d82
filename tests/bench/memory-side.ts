/** What a process of the memory benchmark does when it is asked: makes mappings, or has them attached and goes through them. */
import {
  type Broker,
  type Mapping,
  type MappingAttachment,
  type MemoryGrant,
  monotonicNs,
  type PagePolicy,
} from '@leasehold/client';
import { sum, touch, walk, walked, wordsOf } from './memory-touch.ts';

export interface Created {
  readonly tookNs: number;
  readonly memory: MemoryGrant;
}

export interface Touched {
  readonly attachNs: number;
  readonly firstNs: number;
  readonly secondNs: number;
  readonly inOrderNs: number;
}

export interface WalkPlan {
  readonly setBytes: number;
  readonly reads: number;
  readonly batches: number;
}

export type MappingQuestion =
  | { readonly do: 'create'; readonly name: string; readonly sizeBytes: number; readonly pages: PagePolicy }
  /** Answered when the broker has given the memory back. */
  | { readonly do: 'delete'; readonly name: string }
  | { readonly do: 'touch'; readonly name: string }
  | { readonly do: 'walk'; readonly plan: WalkPlan }
  | { readonly do: 'detach' };

/** Gigabytes are populated before the call returns. */
const CREATE_LIMIT_MS = 100_000;
/** From this size on, creating waits until what was deleted before has been given back. */
const SETTLE_BYTES = 4 * 2 ** 20;

export class MappingSide {
  readonly #broker: Broker;
  #attachment: MappingAttachment<Uint8Array> | null = null;

  constructor(broker: Broker) {
    this.#broker = broker;
  }

  answer(question: MappingQuestion): unknown {
    switch (question.do) {
      case 'create':
        return this.#create(question.name, question.sizeBytes, question.pages);
      case 'delete':
        return this.#delete(question.name);
      case 'touch':
        return this.#touch(question.name);
      case 'walk':
        return this.#walk(question.plan);
      case 'detach':
        return this.#detach();
    }
  }

  async #create(name: string, sizeBytes: number, pages: PagePolicy): Promise<Created> {
    const startNs = monotonicNs();
    const mapping = await this.#broker.createMapping(name, {
      sizeBytes,
      pages,
      persistent: true,
      timeoutMs: CREATE_LIMIT_MS,
    });
    return { tookNs: monotonicNs() - startNs, memory: mapping.info.memory };
  }

  async #delete(name: string): Promise<void> {
    const mapping: Mapping = await this.#broker.mapping(name);
    await mapping.delete();
    await settle(this.#broker);
  }

  async #touch(name: string): Promise<Touched> {
    const mapping = await this.#broker.mapping(name);
    const startNs = monotonicNs();
    this.#attachment = await mapping.attach('write');
    const { bytes } = this.#attachment;
    const attachedNs = monotonicNs();
    touch(bytes);
    const firstNs = monotonicNs();
    touch(bytes);
    const secondNs = monotonicNs();
    const total = sum(wordsOf(bytes));
    const endNs = monotonicNs();
    if (total !== 0) throw new Error(`new memory adds up to ${total}`);
    return {
      attachNs: attachedNs - startNs,
      firstNs: firstNs - attachedNs,
      secondNs: secondNs - firstNs,
      inOrderNs: endNs - secondNs,
    };
  }

  /** ns for one read, as the mean of each batch; the first one, which brings the set into the caches, is not counted. */
  #walk({ setBytes, reads, batches }: WalkPlan): number[] {
    if (this.#attachment === null) throw new Error('nothing is attached here');
    const words = wordsOf(this.#attachment.bytes);
    const perReadNs: number[] = [];
    let state = walk(words, setBytes, reads, 1);
    for (let batch = 0; batch < batches; batch += 1) {
      const startNs = monotonicNs();
      state = walk(words, setBytes, reads, state);
      perReadNs.push((monotonicNs() - startNs) / reads);
    }
    if (state !== walked(reads * (batches + 1), 1)) throw new Error('the walk met something else than zeros');
    return perReadNs;
  }

  async #detach(): Promise<void> {
    await this.#attachment?.close();
    this.#attachment = null;
  }
}

/** Waits until the broker has given back what was deleted: it does so before it makes anything of some size. */
export async function settle(broker: Broker): Promise<void> {
  const mapping = await broker.createMapping('bench/settle', { sizeBytes: SETTLE_BYTES, pages: 'never' });
  await mapping.delete();
}
