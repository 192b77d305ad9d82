/**
 * The ABI, pinned: what the implementation writes for known values is, byte for byte, what tests/protocol/golden/ holds. Those
 * files are written by hand from the tables, shown in docs/ABI.md, and what other implementations may test with.
 */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { ControlWords } from '../layout/control-words.ts';
import { FRAME_DESCRIPTOR } from '../layout/regions.ts';
import { InMemoryChannel } from './testing/in-memory-channel.ts';

const GOLDEN_URL = new URL('../../../tests/protocol/golden/', import.meta.url);
const LINE_BYTES = 16;

/** Lines of `offset: bytes`, without those that are all zero. */
function hexDump(bytes: Uint8Array): string[] {
  const lines: string[] = [];
  for (let offset = 0; offset < bytes.length; offset += LINE_BYTES) {
    const line = bytes.subarray(offset, offset + LINE_BYTES);
    if (line.every((byte) => byte === 0)) continue;
    const pairs = [...line].map((byte) => byte.toString(16).padStart(2, '0'));
    lines.push(`${offset.toString(16).padStart(4, '0')}: ${pairs.join(' ')}`);
  }
  return lines;
}

const golden = (name: string): string[] =>
  readFileSync(new URL(name, GOLDEN_URL), 'utf8')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'));

const bytesOf = (words: ControlWords): Uint8Array => {
  const { buffer, byteOffset, byteLength } = words as unknown as Int32Array;
  return new Uint8Array(buffer, byteOffset, byteLength);
};

/** The publisher is participant 3, the subscriber participant 33; one frame is published, with everything said, and taken. */
async function oneFrame() {
  const head = 0x2_1234_5678;
  const channel = await InMemoryChannel.create({ slots: 5, slotBytes: 64, block: true, maxLoans: 2, head });
  const publisher = await channel.publisher(3);
  const lease = { holdId: 0x0400_0001_0000_0009n, fencingToken: 0x0002_0000_0000_0007n };
  channel.grant(publisher, lease, new Uint8Array(16).fill(0xbe));
  const subscriber = await channel.subscriber(33);
  const slot = publisher.loan();
  publisher.publish(slot, 37, {
    capturedNs: 0x0a_0000_0005,
    width: 1920,
    height: 1080,
    strideBytes: 7680,
    fourcc: 0x41424752,
    metadata: Uint8Array.of(0xca, 0xfe),
  });
  const taken = subscriber.take();
  subscriber.arm();
  publisher.arm();
  publisher.loan();
  return { channel, publisher, slot, taken };
}

describe('golden bytes', () => {
  it('a lock segment is laid out as documented', async () => {
    const { channel } = await oneFrame();
    expect(hexDump(bytesOf(channel.memory.lock.words))).toEqual(golden('lock-segment.hex'));
  });

  it('a participant page is laid out as documented', async () => {
    const { channel } = await oneFrame();
    const [claimed] = channel.claim([33]);
    expect(claimed === undefined ? [] : hexDump(bytesOf(claimed.page.words))).toEqual(golden('participant-page.hex'));
  });

  it('a channel header and ring are laid out as documented', async () => {
    const { channel } = await oneFrame();
    const { descriptorsOffset } = channel.memory.geometry;
    const start = new Uint8Array(bytesOf(channel.memory.ring).buffer, 0, descriptorsOffset);
    expect(hexDump(start)).toEqual(golden('channel-header.hex'));
  });

  it('a published descriptor and the state of a loaned slot are laid out as documented', async () => {
    const { channel, slot, taken } = await oneFrame();
    expect([slot, taken]).toEqual([0, 0]);
    const two = channel.memory.descriptorBytes.subarray(0, 2 * FRAME_DESCRIPTOR.bytes);
    expect(hexDump(two)).toEqual(golden('frame-descriptors.hex'));
  });
});
