/** A block of memory, had and touched, in one process: from Node.js itself, from pages of one's own, and from the broker. Buffers are garbage again before the next one is made. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { type Broker, type Mapping, monotonicNs } from '@leasehold/client';
import { Pages } from '@leasehold/shm-core/pages';
import { BLOCKS, type BlockId, type BlockTimes } from './memory-figures.ts';
import { type Kind, POLICY } from './memory-plan.ts';
import { settle } from './memory-side.ts';
import { touch } from './memory-touch.ts';

export interface BlockQuestion {
  readonly do: 'block';
  readonly id: BlockId;
  readonly sizeBytes: number;
}

const NAME = 'bench/block';
const LEASED = 'bench/leased-block';

export class BlockSide {
  readonly #broker: Broker;
  readonly #collectGarbage: () => void;
  #leased: Mapping | null = null;

  constructor(broker: Broker) {
    this.#broker = broker;
    setFlagsFromString('--expose-gc');
    this.#collectGarbage = runInNewContext('gc') as () => void;
  }

  /** @throws Error when the block has other pages than asked for. */
  async answer({ id, sizeBytes }: BlockQuestion): Promise<BlockTimes> {
    this.#collectGarbage();
    const { from, kind } = BLOCKS[id];
    switch (from) {
      case 'alloc':
        return timed(() => Buffer.alloc(sizeBytes));
      case 'allocUnsafe':
        return timed(() => Buffer.allocUnsafe(sizeBytes));
      case 'pages':
        return allocatePages(sizeBytes, kind);
      case 'mapping':
        return this.#create(sizeBytes, kind);
      case 'lease':
        return this.#lease(sizeBytes);
    }
  }

  async #create(sizeBytes: number, kind: Kind): Promise<BlockTimes> {
    const startNs = monotonicNs();
    const mapping = await this.#broker.createMapping(NAME, { sizeBytes, pages: POLICY[kind] });
    const attachment = await mapping.attach('write');
    const hadNs = monotonicNs();
    touch(attachment.bytes);
    const touchedNs = monotonicNs();
    await attachment.close();
    await mapping.delete();
    await settle(this.#broker);
    checkKind(mapping.info.memory, kind);
    return { hadNs: hadNs - startNs, touchedNs: touchedNs - startNs };
  }

  async #lease(sizeBytes: number): Promise<BlockTimes> {
    this.#leased ??= await this.#makeLeased(sizeBytes);
    const startNs = monotonicNs();
    const lease = await this.#leased.lease('exclusive');
    const { bytes } = lease;
    const hadNs = monotonicNs();
    touch(bytes);
    const touchedNs = monotonicNs();
    lease.release();
    return { hadNs: hadNs - startNs, touchedNs: touchedNs - startNs };
  }

  async #makeLeased(sizeBytes: number): Promise<Mapping> {
    const mapping = await this.#broker.createMapping(LEASED, { sizeBytes, pages: POLICY.base });
    const first = await mapping.lease('exclusive');
    touch(first.bytes);
    first.release();
    return mapping;
  }
}

function timed(make: () => Uint8Array): BlockTimes {
  const startNs = monotonicNs();
  const block = make();
  const hadNs = monotonicNs();
  touch(block);
  return { hadNs: hadNs - startNs, touchedNs: monotonicNs() - startNs };
}

function allocatePages(sizeBytes: number, kind: Kind): BlockTimes {
  const startNs = monotonicNs();
  using pages = Pages.allocate(sizeBytes, { pages: POLICY[kind] });
  const { bytes } = pages;
  const hadNs = monotonicNs();
  touch(bytes);
  const touchedNs = monotonicNs();
  // All of it is there by now: this has the kernel asked what it consists of.
  pages.advise('populate');
  checkKind(pages, kind);
  return { hadNs: hadNs - startNs, touchedNs: touchedNs - startNs };
}

function checkKind(granted: { readonly pageKind: string; readonly fallbackReason: string | null }, kind: Kind): void {
  const { pageKind, fallbackReason } = granted;
  if (pageKind !== kind) throw new Error(`${pageKind} pages were granted (${fallbackReason})`);
}
