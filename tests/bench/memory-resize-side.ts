/** Growing and shrinking: the one who asks for it, and a crowd of sessions, in another process, that have the mapping in their page tables. */
import {
  type Broker,
  connect,
  type Lease,
  type Mapping,
  type MemoryGrant,
  monotonicNs,
  type PagePolicy,
} from '@leasehold/client';

export type ResizeQuestion =
  | {
      readonly do: 'reserve';
      readonly name: string;
      readonly sizeBytes: number;
      readonly reserveBytes: number;
      readonly pages: PagePolicy;
    }
  /** How long the call took, ns. The exclusive lease that shrinking needs is taken before. */
  | { readonly do: 'resize'; readonly sizeBytes: number }
  | { readonly do: 'unreserve' }
  | { readonly do: 'gather'; readonly name: string; readonly sessions: number }
  /** Every session reads one byte of each 4 KiB, under a shared lease. */
  | { readonly do: 'look' }
  | { readonly do: 'disperse' };

const TOUCH_BYTES = 4_096;

export class ResizeSide {
  readonly #broker: Broker;
  #reserved: Mapping | null = null;
  #crowd: { readonly broker: Broker; readonly mapping: Mapping }[] = [];

  constructor(broker: Broker) {
    this.#broker = broker;
  }

  answer(question: ResizeQuestion): unknown {
    switch (question.do) {
      case 'reserve':
        return this.#reserve(question);
      case 'resize':
        return this.#resize(question.sizeBytes);
      case 'unreserve':
        return this.#unreserve();
      case 'gather':
        return this.#gather(question.name, question.sessions);
      case 'look':
        return this.#look();
      case 'disperse':
        return this.#disperse();
    }
  }

  async #reserve({ name, ...options }: Extract<ResizeQuestion, { do: 'reserve' }>): Promise<MemoryGrant> {
    const { sizeBytes, reserveBytes, pages } = options;
    this.#reserved = await this.#broker.createMapping(name, { sizeBytes, reserveBytes, pages, persistent: true });
    return this.#reserved.info.memory;
  }

  async #resize(sizeBytes: number): Promise<number> {
    const mapping = this.#reserved;
    if (mapping === null) throw new Error('nothing is reserved here');
    using lease: Lease<Uint8Array> = await mapping.lease('exclusive');
    const startNs = monotonicNs();
    const { memory } = await mapping.resize(sizeBytes, { lease });
    const tookNs = monotonicNs() - startNs;
    if (memory.payloadBytes !== sizeBytes)
      throw new Error(`${sizeBytes} B were asked for, ${memory.payloadBytes} are there`);
    return tookNs;
  }

  async #unreserve(): Promise<void> {
    await this.#reserved?.delete();
    this.#reserved = null;
  }

  async #gather(name: string, sessions: number): Promise<void> {
    for (let count = 0; count < sessions; count += 1) {
      const broker = await connect({ name: 'bench-memory-crowd' });
      this.#crowd.push({ broker, mapping: await broker.mapping(name) });
    }
    await this.#look();
  }

  async #look(): Promise<void> {
    for (const { mapping } of this.#crowd) {
      using lease = await mapping.lease('shared');
      const { bytes } = lease;
      let total = 0;
      for (let offset = 0; offset < bytes.length; offset += TOUCH_BYTES) total += bytes[offset] ?? Number.NaN;
      if (total !== 0) throw new Error(`memory that was given back adds up to ${total}`);
    }
  }

  async #disperse(): Promise<void> {
    for (const { broker } of this.#crowd) await broker.close();
    this.#crowd = [];
  }
}
