// Packets of the attach socket: what is said comes back, and nonsense is an error.
import { create, toBinary } from '@bufbuild/protobuf';
import { describe, expect, it } from 'vitest';
import { AttachMessageSchema, Role } from '../gen/leasehold/v1/attach_pb.js';
import { ATTACH_PACKET_BYTES_MAX, ATTACH_PROTOCOL_VERSION, decodeAttach, encodeAttach } from './attach-codec.ts';

const malformed = expect.objectContaining({ code: 'MALFORMED_MESSAGE' });

describe('attach codec', () => {
  it('carries every kind of message there and back', () => {
    const fields = AttachMessageSchema.oneofs.flatMap((oneof) => oneof.fields);
    expect(fields.map((field) => field.localName)).toContain('claimPages');
    for (const field of fields) {
      const message = create(AttachMessageSchema, { message: { case: field.localName, value: {} } as never });
      expect(decodeAttach(encodeAttach(message))).toEqual(message);
    }
  });

  it('keeps what a Grant says about each descriptor', () => {
    const roles = [
      { role: Role.DATA, bytes: 2n ** 40n },
      { role: Role.PAGE, bytes: 4096n, participantIndex: 127, participantGeneration: 0xffff_ffff },
    ];
    const { message } = decodeAttach(encodeAttach({ message: { case: 'grant', value: { mappingId: 7n, roles } } }));
    expect(message).toMatchObject({ case: 'grant', value: { mappingId: 7n, roles } });
  });

  it('fits the largest Grant into one packet', () => {
    const roles = Array.from({ length: 253 }, (_, participantIndex) => ({
      role: Role.PAGE,
      bytes: 4096n,
      participantIndex,
    }));
    expect(encodeAttach({ message: { case: 'grant', value: { roles } } }).length).toBeLessThan(ATTACH_PACKET_BYTES_MAX);
  });

  it.each([
    ['an empty packet', new Uint8Array()],
    ['a message of a later version', Uint8Array.of(0xfa, 0x06, 0x00)],
    ['half a message', encodeAttach({ message: { case: 'hello', value: { name: 'abcdef' } } }).subarray(0, -3)],
    ['bytes of no meaning', new Uint8Array(64).fill(0xff)],
    ['groups within groups', new Uint8Array(ATTACH_PACKET_BYTES_MAX).fill(0x7b)],
    ['a packet over the limit', new Uint8Array(ATTACH_PACKET_BYTES_MAX + 1)],
    ['a name that is no UTF-8', Uint8Array.of(0x0a, 0x04, 0x12, 0x02, 0xc3, 0x28)],
  ])('refuses %s', (_, packet) => {
    expect(() => decodeAttach(packet)).toThrow(malformed);
  });

  it('does not send what the other side would refuse', () => {
    expect(() => encodeAttach({})).toThrow(malformed);
    const name = 'x'.repeat(ATTACH_PACKET_BYTES_MAX);
    expect(() => encodeAttach({ message: { case: 'hello', value: { name } } })).toThrow(/hello would take 4\d\d\d B/);
  });

  it('drops fields of a later release instead of keeping them', () => {
    const known = toBinary(
      AttachMessageSchema,
      create(AttachMessageSchema, { message: { case: 'goodbye', value: {} } }),
    );
    const decoded = decodeAttach(Uint8Array.of(...known, 0xf8, 0x06, ATTACH_PROTOCOL_VERSION));
    expect(decoded.$unknown).toBeUndefined();
  });
});
