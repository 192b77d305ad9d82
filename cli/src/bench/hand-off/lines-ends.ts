/**
 * The cache lines that a frame of ours moves, and nothing else: the word that says that it is there, a line that describes it, with the
 * time, the ends of its payload, and the pin that keeps it. No lease, no members, no views, no distrust of anybody: what Leasehold takes
 * beyond this is its own work, what this takes beyond bare `Atomics` is the lines'.
 */
import { monotonicNs } from '@leasehold/client';
import { type EndOptions, type Follower, type Leader, LOOKS_MAX, nothingCame, type Transport } from './ends.ts';

const SLOTS = 4;
const WORDS_PER_LINE = 16;
const LINE_BYTES = 64;
/** Of one direction, in words. A pin is the taker's, and lies where the other direction's publisher has it. */
const RING = 0;
const RING_ENTRIES = 16;
const PIN = 32;
const DESCRIPTORS = 64;
const PAYLOADS = DESCRIPTORS + SLOTS * WORDS_PER_LINE;
const WRITING = -1;
const NS_PER_MS = 1e6;
const WRAP = 2 ** 32;

type Side = 'leader' | 'follower';

class LinesEnd {
  readonly #out: Int32Array;
  readonly #back: Int32Array;
  readonly #payloadWords: number;
  #sent = 0;
  #taken = 0;

  constructor(out: Int32Array, back: Int32Array, payloadWords: number) {
    this.#out = out;
    this.#back = back;
    this.#payloadWords = payloadWords;
  }

  /** Makes a slot its own, and fills it. */
  prepare(): void {
    const next = this.#sent + 1;
    const slot = next % SLOTS;
    const at = DESCRIPTORS + slot * WORDS_PER_LINE;
    const out = this.#out;
    const before = next - SLOTS;
    Atomics.compareExchange(out, at, out[at] as number, WRITING);
    // Where the other side pins what it takes of ours: a frame that it has not let go would be overwritten.
    if (this.#back[PIN] === before) throw new Error(`frame ${before} is pinned still`);
    const payload = PAYLOADS + slot * this.#payloadWords;
    out[payload] = next;
    out[payload + this.#payloadWords - 1] = next;
  }

  publish(): void {
    const out = this.#out;
    const next = this.#sent + 1;
    const slot = next % SLOTS;
    const at = DESCRIPTORS + slot * WORDS_PER_LINE;
    const nowNs = performance.now() * NS_PER_MS;
    out[at + 1] = nowNs | 0;
    out[at + 2] = (nowNs / WRAP) | 0;
    out[at + 3] = this.#payloadWords;
    out[at] = next;
    const entry = RING + (next % RING_ENTRIES);
    Atomics.compareExchange(out, entry, out[entry] as number, next);
    this.#sent = next;
  }

  take(): void {
    const back = this.#back;
    const next = this.#taken + 1;
    const entry = RING + (next % RING_ENTRIES);
    for (let looks = 0; Atomics.load(back, entry) !== next; looks += 1) if (looks === LOOKS_MAX) throw nothingCame();
    const slot = next % SLOTS;
    const at = DESCRIPTORS + slot * WORDS_PER_LINE;
    const payload = PAYLOADS + slot * this.#payloadWords;
    const isThere = back[at] === next && back[at + 3] === this.#payloadWords;
    if (!isThere || back[payload] !== next || back[payload + this.#payloadWords - 1] !== next) {
      throw new Error(`hand-off ${next} did not bring what it should`);
    }
    this.#taken = next;
  }

  /** Pins the one after it with the same store. */
  release(): void {
    Atomics.store(this.#out, PIN, this.#taken + 1);
  }
}

interface Opened {
  readonly end: LinesEnd;
  close(): Promise<void>;
}

async function open({ broker, payloadBytes }: EndOptions, side: Side): Promise<Opened> {
  const payloadWords = Math.max(1, Math.ceil(payloadBytes / LINE_BYTES)) * WORDS_PER_LINE;
  const words = PAYLOADS + SLOTS * payloadWords;
  const mapping = await broker.createMapping(`bench/hand-off/lines/${payloadBytes}`, {
    sizeBytes: 2 * words * Int32Array.BYTES_PER_ELEMENT,
    persistent: true,
    ifExists: 'open-if-same',
  });
  const attachment = await mapping.attach('write');
  const { buffer, byteOffset } = attachment.bytes;
  const halves = [0, 1].map((half) => new Int32Array(buffer, byteOffset + half * words * 4, words)) as [
    Int32Array,
    Int32Array,
  ];
  // The last round's words are still there: both begin again, the follower first, which is opened first.
  if (side === 'follower') for (const half of halves) half.fill(0);
  const [out, back] = side === 'leader' ? halves : [halves[1], halves[0]];
  return { end: new LinesEnd(out, back, payloadWords), close: () => attachment.close() };
}

function lead(end: LinesEnd, count: number): Float64Array {
  const tookNs = new Float64Array(count);
  end.prepare();
  let startedNs = monotonicNs();
  for (let index = 0; index < count; index += 1) {
    end.publish();
    if (index > 0) end.release();
    end.prepare();
    end.take();
    const heldNs = monotonicNs();
    tookNs[index] = heldNs - startedNs;
    startedNs = heldNs;
  }
  return tookNs;
}

function follow(end: LinesEnd, count: number): void {
  for (let index = 0; index < count; index += 1) {
    end.prepare();
    end.take();
    end.publish();
    end.release();
  }
}

export const LINES: Transport = {
  openLeader: async (options): Promise<Leader> => {
    const { end, close } = await open(options, 'leader');
    return { lead: (count) => lead(end, count), close };
  },
  openFollower: async (options): Promise<Follower> => {
    const { end, close } = await open(options, 'follower');
    return { follow: (count) => follow(end, count), close };
  },
};
