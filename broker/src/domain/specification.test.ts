import { describe, expect, it } from 'vitest';
import {
  type ChannelRequest,
  channelSpecification,
  type MappingRequest,
  mappingSpecification,
  requireSame,
} from './specification.ts';

const mapping = (more: Partial<MappingRequest> = {}): MappingRequest => ({
  name: 'm',
  sizeBytes: 1n,
  reserveBytes: 0n,
  locked: false,
  numaNode: null,
  pages: 'auto',
  lifetime: 'last-attachment',
  maxParticipants: 0,
  ...more,
});

const channel = (more: Partial<ChannelRequest> = {}): ChannelRequest => ({
  name: 'c',
  pages: 'auto',
  lifetime: 'last-attachment',
  maxParticipants: 0,
  slotBytes: 100n,
  slots: 0,
  overflow: 'overwrite',
  blockBound: 'timeout',
  blockTimeoutMs: 0,
  maxLoans: 0,
  firstSequence: 0n,
  locked: false,
  numaNode: null,
  format: {
    fourcc: '',
    width: 0,
    height: 0,
    strideBytes: 0,
    frameRateNumerator: 0,
    frameRateDenominator: 0,
    attributes: {},
  },
  ...more,
});

const code = (expected: string) => expect.objectContaining({ code: expected });

describe('a specification', () => {
  it('has its defaults filled in', () => {
    expect(mappingSpecification(mapping())).toMatchObject({ maxParticipants: 64, payloadBytes: 1 });
    expect(channelSpecification(channel())).toMatchObject({
      slots: 8,
      maxLoans: 1,
      maxParticipants: 64,
      blockTimeoutMs: 5000,
      firstSequence: 1,
    });
  });

  it.each([0n, -1n, 2n ** 52n, 2n ** 53n, 2n ** 64n - 1n])('of %i bytes is refused', (sizeBytes) => {
    expect(() => mappingSpecification(mapping({ sizeBytes }))).toThrow(code('INVALID_SIZE'));
  });

  it.each([
    { maxParticipants: 129 },
    { slots: 2 },
    { slots: 1023 },
    { slots: 4, maxLoans: 3 },
    { firstSequence: 2n ** 52n },
  ])('of a channel with %o is refused', (wrong) => {
    expect(() => channelSpecification(channel(wrong))).toThrow(code('INVALID_ARGUMENT'));
  });

  it('whose slots cannot be addressed together is refused', () => {
    const wrong = channel({ slotBytes: 2n ** 51n, slots: 1022 });
    expect(() => channelSpecification(wrong)).toThrow(code('INVALID_SIZE'));
  });

  it('of a bad name is refused', () => {
    expect(() => mappingSpecification(mapping({ name: 'a/../b' }))).toThrow(code('INVALID_NAME'));
  });

  it('is the same whatever the order of its attributes', () => {
    const withAttributes = (attributes: Record<string, string>) =>
      channelSpecification(channel({ format: { ...channel().format, attributes } }));
    requireSame(withAttributes({ a: '1', b: '2' }), withAttributes({ b: '2', a: '1' }));
    expect(() => requireSame(withAttributes({ a: '1' }), withAttributes({ a: '2' }))).toThrow(/format/);
  });

  it('that differs is said to, with what is there and what was asked', () => {
    const existing = channelSpecification(channel());
    const wanted = channelSpecification(channel({ slots: 16, overflow: 'block' }));
    expect(() => requireSame(existing, wanted)).toThrow(
      expect.objectContaining({
        code: 'SPEC_MISMATCH',
        metadata: { name: 'c', slots: 'is 8, asked for 16', overflow: 'is "overwrite", asked for "block"' },
      }),
    );
  });

  it('of a mapping is never that of a channel', () => {
    const there = mappingSpecification(mapping({ name: 'c' }));
    expect(() => requireSame(there, channelSpecification(channel()))).toThrow(/kind/);
  });
});
