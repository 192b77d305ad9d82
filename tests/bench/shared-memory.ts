/**
 * A hand-off through a channel: `publish()` on one side, `tryTake()` or `take()` on the other. The receiver tells what it holds in a
 * mapping of its own, one word that the sender looks at.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { type Channel, type Frame, monotonicNs, type Publisher, type Subscriber } from '@leasehold/client';
import { type Bench, checkMark, gap, HAND_OFF_LIMIT_MS, mark, type Receiver, type Sender } from './hand-off.ts';
import { FRAME_BYTES, type Variant } from './variants.ts';

/** Room for what the subscriber may pin (2), the loan, and one more. */
const SLOTS = 4;
/** Looks between two looks at the clock. */
const LOOKS_PER_CHECK = 100_000;

const heldName = (variant: Variant): string => `held/${variant.id}`;
const viewsOf = (variant: Variant): 'fenced' | 'persistent' => variant.views ?? 'fenced';

/** Calls `look` until it finds something. Nothing else runs meanwhile. @throws Error at the limit. */
function poll<T>(look: () => T | null, what: string): T {
  const deadline = performance.now() + HAND_OFF_LIMIT_MS;
  do {
    for (let looks = 0; looks < LOOKS_PER_CHECK; looks += 1) {
      const found = look();
      if (found !== null) return found;
    }
  } while (performance.now() < deadline);
  throw new Error(`waited ${HAND_OFF_LIMIT_MS} ms for ${what}`);
}

class ChannelSender implements Sender {
  readonly memory: Channel['memory'];
  readonly #bench: Bench;
  readonly #variant: Variant;
  readonly #publisher: Publisher;
  readonly #elsewhere: Uint8Array | null;
  #held: Int32Array | null = null;
  #sent = 0;

  constructor(bench: Bench, variant: Variant, channel: Channel, publisher: Publisher) {
    this.#bench = bench;
    this.#variant = variant;
    this.memory = channel.memory;
    this.#publisher = publisher;
    this.#elsewhere = variant.written === 'elsewhere' ? new Uint8Array(FRAME_BYTES) : null;
  }

  async send(count: number): Promise<Float64Array> {
    const held = this.#held ?? (await this.#attachHeld());
    this.#held = held;
    const sentNs = new Float64Array(count);
    const isHeld = (): true | null => (Atomics.load(held, 0) === this.#sent ? true : null);
    for (let index = 0; index < count; index += 1) {
      sentNs[index] = this.#publishOne();
      if (this.#variant.waiting === 'park') await this.#waitAsleep(isHeld);
      else poll(isHeld, 'the receiver');
    }
    return sentNs;
  }

  #publishOne(): number {
    const loan = this.#publisher.tryLoan();
    if (loan === null) throw new Error('the channel has no free slot');
    this.#sent += 1;
    if (this.#variant.written === 'all') loan.bytes.fill(this.#sent);
    this.#elsewhere?.fill(this.#sent);
    mark(loan.bytes, this.#sent);
    const sentNs = monotonicNs();
    loan.publish();
    return sentNs;
  }

  /** Both sides sleep: the receiver as soon as it has told, this one for the gap. */
  async #waitAsleep(isHeld: () => true | null): Promise<void> {
    const deadline = performance.now() + HAND_OFF_LIMIT_MS;
    do await gap();
    while (isHeld() === null && performance.now() < deadline);
    if (isHeld() === null) throw new Error(`waited ${HAND_OFF_LIMIT_MS} ms for the receiver`);
  }

  async #attachHeld(): Promise<Int32Array> {
    const mapping = await this.#bench.broker.mapping(heldName(this.#variant));
    const { buffer, byteOffset } = (await mapping.attach('read')).bytes as unknown as Uint8Array;
    return new Int32Array(buffer, byteOffset, 1);
  }
}

class ChannelReceiver implements Receiver {
  readonly #variant: Variant;
  readonly #subscriber: Subscriber;
  readonly #held: Int32Array;
  #received = 0;

  constructor(variant: Variant, subscriber: Subscriber, held: Int32Array) {
    this.#variant = variant;
    this.#subscriber = subscriber;
    this.#held = held;
  }

  receive(count: number): Promise<Float64Array> {
    return this.#variant.waiting === 'tryTake' ? this.#receivePolling(count) : this.#receive(count);
  }

  async #receivePolling(count: number): Promise<Float64Array> {
    // The loop lets nothing else run: whoever called must have had a turn to say that it is about to begin.
    await nextTurn();
    const heldNs = new Float64Array(count);
    const look = (): Frame | null => this.#subscriber.tryTake();
    for (let index = 0; index < count; index += 1) {
      const frame = poll(look, 'a frame');
      heldNs[index] = monotonicNs();
      this.#finish(frame);
    }
    return heldNs;
  }

  async #receive(count: number): Promise<Float64Array> {
    const heldNs = new Float64Array(count);
    for (let index = 0; index < count; index += 1) {
      const frame = await this.#subscriber.take({ timeoutMs: HAND_OFF_LIMIT_MS });
      heldNs[index] = monotonicNs();
      if (frame === null) throw new Error('the stream ended');
      this.#finish(frame);
    }
    return heldNs;
  }

  #finish(frame: Frame): void {
    this.#received += 1;
    checkMark(frame.bytes, this.#variant.payloadBytes, this.#received);
    frame.release();
    Atomics.store(this.#held, 0, this.#received);
  }
}

export async function openChannelSender(bench: Bench, variant: Variant): Promise<Sender> {
  const channel = await bench.broker.createChannel(variant.id, { slotBytes: variant.payloadBytes, slots: SLOTS });
  const publisher = await channel.openPublisher({ views: viewsOf(variant) });
  return new ChannelSender(bench, variant, channel, publisher);
}

export async function openChannelReceiver({ broker }: Bench, variant: Variant): Promise<Receiver> {
  const mapping = await broker.createMapping(heldName(variant), { sizeBytes: 4_096 });
  const { bytes } = await mapping.attach('write');
  const { waiting } = variant;
  const subscriber = await broker.subscribe(variant.id, {
    views: viewsOf(variant),
    ...(waiting === 'spin' || waiting === 'park' ? { wait: waiting } : {}),
  });
  return new ChannelReceiver(variant, subscriber, new Int32Array(bytes.buffer, bytes.byteOffset, 1));
}
