/**
 * The `msghdr` that sendmsg and recvmsg take, with its one `iovec` and room for one SCM_RIGHTS message, laid out once and used
 * again for every call (64-bit, little-endian). Invariant: it points only at its own memory and at the bytes of the current call.
 */
import { addressOf } from './libc.ts';

/** SCM_RIGHTS carries at most this many descriptors. */
export const MESSAGE_FDS_MAX = 253;

/** Offsets in `msghdr`. */
const MSG = { iov: 16, iovCount: 24, control: 32, controlBytes: 40, flags: 48, bytes: 56 } as const;
/** Offsets in `iovec`. */
const IOV = { base: 0, length: 8, bytes: 16 } as const;
/** Offsets in `cmsghdr`; descriptors follow it. */
const CMSG = { length: 0, level: 8, type: 12, bytes: 16 } as const;

const CONTROL_OFFSET = MSG.bytes + IOV.bytes;
const TOTAL_BYTES = CONTROL_OFFSET + CMSG.bytes + (MESSAGE_FDS_MAX + 1) * 4;

const SOL_SOCKET = 1;
const SCM_RIGHTS = 1;

export class MessageHeader {
  /** What the system call is given. */
  readonly bytes: Uint8Array = new Uint8Array(new ArrayBuffer(TOTAL_BYTES));
  readonly #fields = new DataView(this.bytes.buffer);
  readonly #address = addressOf(this.bytes);

  constructor() {
    this.#setPointer(MSG.iov, this.#address + MSG.bytes);
    this.#setPointer(MSG.iovCount, 1);
  }

  /** Ready to send `payload` with `fds`. `payload` must be referenced until the call is over. */
  prepareSend(payload: Uint8Array, fds: readonly number[]): void {
    const controlBytes = fds.length === 0 ? 0 : CMSG.bytes + fds.length * 4;
    this.#prepare(payload, controlBytes);
    if (controlBytes === 0) return;
    this.#setPointer(CONTROL_OFFSET + CMSG.length, controlBytes);
    this.#fields.setInt32(CONTROL_OFFSET + CMSG.level, SOL_SOCKET, true);
    this.#fields.setInt32(CONTROL_OFFSET + CMSG.type, SCM_RIGHTS, true);
    for (const [index, fd] of fds.entries()) this.#fields.setInt32(CONTROL_OFFSET + CMSG.bytes + index * 4, fd, true);
  }

  /**
   * Ready to receive into `payload`, with room for exactly `maxFds`: what exceeds it the kernel drops without ever making it ours,
   * so that no stranger's descriptor has to be closed here (closing can block, on FUSE for one).
   */
  prepareReceive(payload: Uint8Array, maxFds: number): void {
    this.#prepare(payload, maxFds === 0 ? 0 : CMSG.bytes + maxFds * 4);
  }

  /** `msg_flags` after a receive. */
  get flags(): number {
    return this.#fields.getInt32(MSG.flags, true);
  }

  /** Descriptors that a receive has made ours. The kernel joins them in one message, which is the only kind asked for. */
  receivedFds(): number[] {
    const controlBytes = Math.min(this.#fields.getUint32(MSG.controlBytes, true), TOTAL_BYTES - CONTROL_OFFSET);
    if (controlBytes < CMSG.bytes) return [];
    const isRights =
      this.#fields.getInt32(CONTROL_OFFSET + CMSG.level, true) === SOL_SOCKET &&
      this.#fields.getInt32(CONTROL_OFFSET + CMSG.type, true) === SCM_RIGHTS;
    if (!isRights) return [];
    const messageBytes = Math.min(this.#fields.getUint32(CONTROL_OFFSET + CMSG.length, true), controlBytes);
    const count = Math.floor((messageBytes - CMSG.bytes) / 4);
    return Array.from({ length: count }, (_, index) =>
      this.#fields.getInt32(CONTROL_OFFSET + CMSG.bytes + index * 4, true),
    );
  }

  #prepare(payload: Uint8Array, controlBytes: number): void {
    this.#setPointer(MSG.bytes + IOV.base, addressOf(payload));
    this.#setPointer(MSG.bytes + IOV.length, payload.length);
    this.#setPointer(MSG.control, controlBytes === 0 ? 0 : this.#address + CONTROL_OFFSET);
    this.#setPointer(MSG.controlBytes, controlBytes);
    this.#fields.setInt32(MSG.flags, 0, true);
  }

  #setPointer(offset: number, value: number): void {
    this.#fields.setBigUint64(offset, BigInt(value), true);
  }
}
