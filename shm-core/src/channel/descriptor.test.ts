// What a subscriber reads of a frame is what its publisher wrote, and never more than there is room for.
import { describe, expect, it } from 'vitest';
import { FRAME_DESCRIPTOR, USER_METADATA_BYTES } from '../layout/regions.ts';
import { descriptorFlags, descriptorPayloadBytes, type FrameFields, NO_FIELDS, readDescriptor } from './descriptor.ts';
import { InMemoryChannel } from './testing/in-memory-channel.ts';

const SLOT_BYTES = 64;

async function publishedFrame(fencingToken: bigint, fields: Partial<FrameFields>) {
  const channel = await InMemoryChannel.create({ slotBytes: SLOT_BYTES });
  const publisher = await channel.publisher(3);
  channel.grant(publisher, { holdId: 0x0400_0001_0000_0009n, fencingToken }, new Uint8Array(16).fill(1));
  const slot = publisher.loan();
  publisher.publish(slot, 37, { ...NO_FIELDS, ...fields });
  return { memory: channel.memory, slot };
}

describe('a frame’s descriptor', () => {
  it.each([1n, 0xffff_ffffn, 0x8000_0000_0000_0001n, 2n ** 64n - 2n])('keeps every bit of token %d', async (token) => {
    const { memory, slot } = await publishedFrame(token, {});
    expect(readDescriptor(memory, slot).fencingToken).toBe(token);
  });

  it('says what its publisher said', async () => {
    const said = {
      width: 1920,
      height: 1080,
      strideBytes: 7680,
      fourcc: 0xc1424752,
      metadata: Uint8Array.of(0xca, 0xfe),
    };
    const { memory, slot } = await publishedFrame(7n, { ...said, capturedNs: 0x0a_8000_0005 });
    expect(readDescriptor(memory, slot)).toEqual({
      ...said,
      fencingToken: 7n,
      publishedNs: 1n,
      capturedNs: 0x0a_8000_0005n,
    });
  });

  it('says that nothing was said', async () => {
    const { memory, slot } = await publishedFrame(7n, {});
    expect(readDescriptor(memory, slot)).toMatchObject({ capturedNs: null, width: 0, metadata: new Uint8Array(0) });
  });

  it('keeps nothing of what was said of the frame before in its slot', async () => {
    const channel = await InMemoryChannel.create({ slots: 3, slotBytes: SLOT_BYTES });
    const publisher = await channel.publisher(3);
    const said = { ...NO_FIELDS, width: 1, height: 2, strideBytes: 3, fourcc: 4, capturedNs: 5 };
    const metadata = Uint8Array.of(6);
    const publish = (payloadBytes: number, fields: FrameFields) => {
      const slot = publisher.loan();
      publisher.publish(slot, payloadBytes, fields);
      const { width, height, strideBytes, fourcc, capturedNs, metadata } = readDescriptor(channel.memory, slot);
      const frameBytes = descriptorPayloadBytes(channel.memory, slot);
      return [frameBytes, width, height, strideBytes, fourcc, capturedNs, ...metadata];
    };
    const plain = [SLOT_BYTES, 0, 0, 0, 0, null];
    for (let round = 0; round < 3; round += 1) {
      // Each slot in turn, which are three.
      for (let turn = 0; turn < 7; turn += 1) expect(publish(SLOT_BYTES, NO_FIELDS)).toEqual(plain);
      for (let turn = 0; turn < 4; turn += 1) expect(publish(9, NO_FIELDS)).toEqual([9, ...plain.slice(1)]);
      for (let turn = 0; turn < 4; turn += 1) {
        expect(publish(SLOT_BYTES, { ...said, metadata })).toEqual([SLOT_BYTES, 1, 2, 3, 4, 5n, 6]);
      }
    }
  });

  it('keeps nothing of a frame whose description failed', async () => {
    const channel = await InMemoryChannel.create({ slots: 3, slotBytes: SLOT_BYTES });
    const publisher = await channel.publisher(3);
    const gone = Uint8Array.of(6);
    structuredClone(gone, { transfer: [gone.buffer] });
    for (let turn = 0; turn < 4; turn += 1) publisher.publish(publisher.loan(), SLOT_BYTES);
    const slot = publisher.loan();
    expect(() => publisher.publish(slot, 9, { ...NO_FIELDS, width: 1, metadata: gone })).toThrow(TypeError);
    publisher.publish(slot, SLOT_BYTES);
    expect(readDescriptor(channel.memory, slot)).toMatchObject({ width: 0, metadata: new Uint8Array(0) });
    expect(descriptorPayloadBytes(channel.memory, slot)).toBe(SLOT_BYTES);
  });

  it('says under which token each frame was published, when its publisher holds the lease again', async () => {
    const channel = await InMemoryChannel.create({ slots: 3, slotBytes: SLOT_BYTES });
    const publisher = await channel.publisher(3);
    for (let token = 10n; token < 16n; token += 1n) {
      channel.grant(publisher, { holdId: token, fencingToken: token }, new Uint8Array(16).fill(1));
      for (let turn = 0; turn < 4; turn += 1) {
        const slot = publisher.loan();
        publisher.publish(slot, SLOT_BYTES);
        expect(readDescriptor(channel.memory, slot).fencingToken).toBe(token);
      }
    }
  });

  it('says that a frame is none after the end of a stream was in its slot', async () => {
    const channel = await InMemoryChannel.create({ slots: 3, slotBytes: SLOT_BYTES });
    const publisher = await channel.publisher(3);
    for (let turn = 0; turn < 4; turn += 1) {
      publisher.publishEnd(publisher.loan());
      const slot = publisher.loan();
      publisher.publish(slot, SLOT_BYTES);
      expect(descriptorFlags(channel.memory, slot)).toBe(0);
      expect(descriptorPayloadBytes(channel.memory, slot)).toBe(SLOT_BYTES);
    }
  });

  it('does not reach beyond its room, whatever is written into it', async () => {
    const { memory, slot } = await publishedFrame(7n, {});
    const base = (slot * FRAME_DESCRIPTOR.bytes) / 4;
    memory.descriptorData[base + FRAME_DESCRIPTOR.word.flags] = -1;
    memory.descriptorData.fill(
      -1,
      base + FRAME_DESCRIPTOR.word.payloadBytes,
      base + FRAME_DESCRIPTOR.word.payloadBytes + 2,
    );
    expect(readDescriptor(memory, slot).metadata.length).toBe(USER_METADATA_BYTES);
    expect(descriptorPayloadBytes(memory, slot)).toBe(SLOT_BYTES);
  });
});
