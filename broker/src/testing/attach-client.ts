/** A client of the attach socket for tests, written against the protocol and nothing else of the SDK. */
import {
  Access,
  ATTACH_PROTOCOL_VERSION,
  type AttachMessage,
  decodeAttach,
  encodeAttach,
  type Grant,
} from '@leasehold/proto';
import { connectSeqpacket, type OwnedFd, receivePacket, sendPacket, watchReadable } from '@leasehold/shm-core/internal';

type Said = AttachMessage['message'];

export interface Answer {
  readonly said: Said;
  readonly fds: readonly OwnedFd[];
}

/** Resolves when there is something to read, without blocking the broker that runs in the same process. */
async function readable(fd: OwnedFd): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const watch = watchReadable(
      fd,
      () => {
        watch.close();
        resolve();
      },
      reject,
    );
  });
}

export class AttachClient {
  readonly fd: OwnedFd;

  constructor(path: string) {
    this.fd = connectSeqpacket(path);
  }

  send(message: Parameters<typeof encodeAttach>[0]['message'] & object): void {
    this.sendRaw(encodeAttach({ message }));
  }

  sendRaw(bytes: Uint8Array, fds: readonly OwnedFd[] = []): void {
    const sent = sendPacket(this.fd, bytes, fds);
    if (sent !== 'sent') throw new Error(`the packet was not sent: ${sent}`);
  }

  /** The next packet; null when the broker closed. */
  async receive(): Promise<Answer | null> {
    for (;;) {
      await readable(this.fd);
      const received = receivePacket(this.fd, 4096, 128);
      if (received.kind === 'closed') return null;
      if (received.kind === 'packet') return { said: decodeAttach(received.bytes).message, fds: received.fds };
    }
  }

  async ask(message: Parameters<typeof encodeAttach>[0]['message'] & object): Promise<Answer> {
    this.send(message);
    const answer = await this.receive();
    if (answer === null) throw new Error('the broker closed the connection');
    return answer;
  }

  /** Says Hello. */
  async open(name = 'test'): Promise<OpenedSession> {
    const { said, fds } = await this.ask({
      case: 'hello',
      value: { protocolVersion: ATTACH_PROTOCOL_VERSION, name },
    });
    const [bell] = fds;
    if (said.case !== 'welcome' || bell === undefined) throw new Error(`no Welcome but ${JSON.stringify(said)}`);
    return { token: said.value.token, sessionId: said.value.sessionId, bell };
  }

  async claim(ticket: Uint8Array): Promise<{ grant: Grant; fds: readonly OwnedFd[] }> {
    const { said, fds } = await this.ask({ case: 'claim', value: { ticket } });
    if (said.case !== 'grant') throw new Error(`no Grant but ${said.case}`);
    return { grant: said.value, fds };
  }

  close(): void {
    this.fd.close();
  }
}

export interface OpenedSession {
  readonly token: Uint8Array;
  readonly sessionId: bigint;
  readonly bell: OwnedFd;
}

export const READ = Access.READ;
export const WRITE = Access.WRITE;
