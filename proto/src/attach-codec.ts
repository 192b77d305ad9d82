/**
 * Attach messages to packets and back. Whatever comes out of `decodeAttach` is a message whose oneof is set; anything
 * else in a packet is an error, never a crash.
 */
import { create, fromBinary, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import { type AttachMessage, AttachMessageSchema } from '../gen/leasehold/v1/attach_pb.js';
import { LeaseholdError } from './leasehold-error.ts';

/** What Hello and Welcome carry. */
export const ATTACH_PROTOCOL_VERSION = 1;

/** The largest packet on the attach socket, B. */
export const ATTACH_PACKET_BYTES_MAX = 4096;

/** @throws {LeaseholdError} MALFORMED_MESSAGE when nothing is set, or the packet would be too large */
export function encodeAttach(message: MessageInitShape<typeof AttachMessageSchema>): Uint8Array {
  const complete = create(AttachMessageSchema, message);
  if (complete.message.case === undefined) throw malformed('an attach message must say something');
  const packet = toBinary(AttachMessageSchema, complete);
  if (packet.length > ATTACH_PACKET_BYTES_MAX) {
    throw malformed(
      `${complete.message.case} would take ${packet.length} B; a packet is ${ATTACH_PACKET_BYTES_MAX} B at most`,
    );
  }
  return packet;
}

/** @throws {LeaseholdError} MALFORMED_MESSAGE */
export function decodeAttach(packet: Uint8Array): AttachMessage {
  if (packet.length > ATTACH_PACKET_BYTES_MAX) {
    throw malformed(`a packet of ${packet.length} B came; ${ATTACH_PACKET_BYTES_MAX} B is the most`);
  }
  let message: AttachMessage;
  try {
    message = fromBinary(AttachMessageSchema, packet, { readUnknownFields: false });
  } catch (cause) {
    throw malformed(`a packet of ${packet.length} B is no AttachMessage`, cause);
  }
  if (message.message.case === undefined) {
    throw malformed(
      `a packet of ${packet.length} B says nothing that protocol version ${ATTACH_PROTOCOL_VERSION} knows`,
    );
  }
  return message;
}

function malformed(message: string, cause?: unknown): LeaseholdError {
  return new LeaseholdError('MALFORMED_MESSAGE', `Attach socket: ${message}.`, { cause });
}
