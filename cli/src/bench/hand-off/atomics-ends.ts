/** The least that is possible: a word each way, 128 B apart, in memory of ours. Whatever is carried beside it comes on top. */
import { monotonicNs } from '@leasehold/client';
import { type EndOptions, type Follower, type Leader, LOOKS_MAX, nothingCame, type Transport } from './ends.ts';

const BYTES = 4_096;
/** Of the word that says which payload is there. */
const OUT = 0;
const BACK = 128 / Int32Array.BYTES_PER_ELEMENT;

/** What both ends have of the memory. */
interface Words {
  readonly words: Int32Array;
  close(): Promise<void>;
}

async function attach({ broker }: EndOptions): Promise<Words> {
  const mapping = await broker.createMapping('bench/hand-off/atomics', {
    sizeBytes: BYTES,
    persistent: true,
    ifExists: 'open-if-same',
  });
  const attachment = await mapping.attach('write');
  const { buffer, byteOffset } = attachment.bytes;
  const words = new Int32Array(buffer, byteOffset, BYTES / Int32Array.BYTES_PER_ELEMENT);
  return { words, close: () => attachment.close() };
}

function lead(words: Int32Array, count: number): Float64Array {
  const tookNs = new Float64Array(count);
  let sent = Atomics.load(words, OUT);
  let startedNs = monotonicNs();
  for (let index = 0; index < count; index += 1) {
    sent = (sent + 1) | 0;
    Atomics.store(words, OUT, sent);
    for (let looks = 0; Atomics.load(words, BACK) !== sent; looks += 1) if (looks === LOOKS_MAX) throw nothingCame();
    const heldNs = monotonicNs();
    tookNs[index] = heldNs - startedNs;
    startedNs = heldNs;
  }
  return tookNs;
}

function follow(words: Int32Array, count: number): void {
  let taken = Atomics.load(words, BACK);
  for (let index = 0; index < count; index += 1) {
    taken = (taken + 1) | 0;
    for (let looks = 0; Atomics.load(words, OUT) !== taken; looks += 1) if (looks === LOOKS_MAX) throw nothingCame();
    Atomics.store(words, BACK, taken);
  }
}

export const ATOMICS: Transport = {
  openLeader: async (options): Promise<Leader> => {
    const { words, close } = await attach(options);
    return { lead: (count) => lead(words, count), close };
  },
  openFollower: async (options): Promise<Follower> => {
    const { words, close } = await attach(options);
    return { follow: (count) => follow(words, count), close };
  },
};
