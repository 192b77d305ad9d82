import { afterEach, describe, expect, it, vi } from 'vitest';
import { attachedPayload, attachmentOf, PAGE_BYTES, RESERVED_BYTES } from './testing/attached-payload.ts';

const open: { close(): void }[] = [];
afterEach(() => {
  for (const each of open.splice(0)) each.close();
});

async function attached(payloadBytes = PAGE_BYTES, access: 'read' | 'write' = 'write') {
  const payload = await attachedPayload(payloadBytes, access);
  open.push(payload);
  return { ...payload, ...attachmentOf(payload) };
}
const code = (expected: string) => expect.objectContaining({ code: expected });
const steal = (bytes: Uint8Array): ArrayBuffer => (bytes as Uint8Array<ArrayBuffer>).buffer.transfer();

describe('an attachment', () => {
  it('gives the same bytes until the size changes, then others, and the old ones are empty', async () => {
    const { broker, attachment } = await attached(5000);
    const before = attachment.bytes;
    expect(attachment.bytes).toBe(before);
    before[4999] = 9;
    await broker.grow(9000);
    const after = attachment.bytes;
    expect([before.length, after.length, attachment.sizeBytes]).toEqual([0, 9000, 9000]);
    expect(after[4999]).toBe(9);
    expect(attachment.bytes).toBe(after);
    await broker.shrink(10, () => undefined);
    expect(attachment.bytes).toHaveLength(10);
    expect(after).toHaveLength(0);
    expect(attachment.reservedBytes).toBe(RESERVED_BYTES);
  });

  it('is empty after it was closed, says so, and tells its session once', async () => {
    const { attachment, told } = await attached();
    const { bytes } = attachment;
    const window = attachment.window(0, 10);
    await Promise.all([attachment.close(), attachment.close()]);
    expect([bytes.length, window.bytes.length, attachment.bytes.length]).toEqual([0, 0, 0]);
    expect(told).toEqual(['adopted', 'released', 'detached 3']);
    expect(attachment.deleted).toBe(false);
    for (const use of [() => attachment.sizeBytes, () => attachment.window(0, 1), () => attachment.advise('cold')]) {
      expect(use).toThrow(code('CLOSED'));
    }
  });

  it('takes advice about what is there, of readers and of writers, and nothing changes by it', async () => {
    for (const access of ['read', 'write'] as const) {
      const { broker, attachment } = await attached(5000, access);
      expect(attachment.advise('willneed')).toBe('applied');
      expect(attachment.advise('populate')).toBe('applied');
      await broker.grow(RESERVED_BYTES);
      expect(attachment.advise('sequential')).toBe('applied');
      expect(attachment.bytes.every((byte) => byte === 0)).toBe(true);
    }
  });

  it('says when its size is one that it cannot have', async () => {
    const { broker, attachment } = await attached();
    broker.lock.commit(RESERVED_BYTES + 1);
    for (const use of [() => attachment.bytes, () => attachment.sizeBytes, () => attachment.window(0, 1)]) {
      expect(use).toThrow(code('CORRUPT_MEMORY'));
    }
    await attachment.close();
  });
});

describe('a window', () => {
  it('is exactly the part that was asked for, and empty when it is closed', async () => {
    const { attachment } = await attached(5000);
    attachment.bytes[4999] = 7;
    const window = attachment.window(4990, 10);
    expect([window.offset, window.bytes.length, window.bytes[9]]).toEqual([4990, 10, 7]);
    const { bytes } = window;
    window.close();
    window.close();
    expect([bytes.length, window.bytes.length]).toEqual([0, 0]);
    expect(() => attachment.window(4990, 11)).toThrow(code('INVALID_SIZE'));
  });

  it('of the same part twice is two windows, and closing one leaves the other', async () => {
    const { attachment } = await attached();
    const [first, second] = [attachment.window(0, 10), attachment.window(0, 10)];
    first.close();
    second.bytes[0] = 5;
    expect(attachment.window(0, 10).bytes[0]).toBe(5);
    expect(second.bytes).toHaveLength(10);
  });

  it('is closed by using', async () => {
    const { attachment } = await attached();
    let bytes: Uint8Array;
    {
      using window = attachment.window(0, 10);
      bytes = window.bytes;
      expect(bytes).toHaveLength(10);
    }
    expect(bytes).toHaveLength(0);
  });

  it('stays when the mapping grows', async () => {
    const { broker, attachment } = await attached();
    const window = attachment.window(0, PAGE_BYTES);
    await broker.grow(3 * PAGE_BYTES);
    window.bytes[0] = 3;
    expect(attachment.bytes[0]).toBe(3);
    expect(window.bytes).toHaveLength(PAGE_BYTES);
  });

  it('that somebody transferred is VIEW_STOLEN when it is closed, once', async () => {
    const { attachment } = await attached();
    const window = attachment.window(0, 10);
    steal(window.bytes);
    expect(() => window.close()).toThrow(code('VIEW_STOLEN'));
    window.close();
    await attachment.close();
  });
});

describe('an attachment of which somebody has taken a view', () => {
  it.each(['its bytes', 'a window'] as const)(
    '(%s) says so when it is closed, and is closed all the same',
    async (what) => {
      const { mapping, attachment, told } = await attached();
      let kept = 0;
      mapping.data.keepFromReuse = () => {
        kept += 1;
      };
      const other = attachment.window(0, 20);
      const { bytes } = what === 'a window' ? attachment.window(0, 10) : attachment;
      const stolen = new Uint8Array(steal(bytes));
      stolen[0] = 5;
      await expect(attachment.close()).rejects.toThrow(code('VIEW_STOLEN'));
      // The thief reads private zeros, and these addresses are nobody else's from now on.
      expect([stolen[0], kept, other.bytes.length]).toEqual([0, 1, 0]);
      expect(told).toEqual(['adopted', 'released', 'detached 3']);
    },
  );

  it.each(['bytes', 'words'] as const)('(%s of its memory) says so when it is closed', async (what) => {
    const { mapping, attachment } = await attached();
    const keepFromReuse = vi.spyOn(mapping.data, 'keepFromReuse');
    const { memory } = attachment;
    const views = { bytes: memory.bytes(0, 16), words: memory.words32(0, 4) };
    (views[what].buffer as ArrayBuffer).transfer();
    await expect(attachment.close()).rejects.toThrow(code('VIEW_STOLEN'));
    expect(keepFromReuse).toHaveBeenCalled();
    expect([views.bytes.length, views.words.length]).toEqual([0, 0]);
  });

  it('makes others for whoever asks for its bytes again', async () => {
    const { attachment } = await attached();
    steal(attachment.bytes);
    expect(attachment.bytes).toHaveLength(PAGE_BYTES);
    await attachment.close();
  });
});
