/** A client written against the protocol alone, which can therefore break it: raw packets, raw calls. */
import { join } from 'node:path';
import * as grpc from '@grpc/grpc-js';
import {
  AdminService,
  ATTACH_PROTOCOL_VERSION,
  type AttachMessage,
  ChannelService,
  createServiceClient,
  decodeAttach,
  encodeAttach,
  LeaseService,
  MappingService,
  SessionService,
} from '@leasehold/proto';
import {
  connectSeqpacket,
  OsError,
  type OwnedFd,
  receivePacket,
  sendPacket,
  watchReadable,
} from '@leasehold/shm-core/internal';

const PACKET_BYTES_MAX = 4096;
const FDS_MAX = 66;

export type Message = NonNullable<Parameters<typeof encodeAttach>[0]['message']>;

export interface RawAnswer {
  readonly said: AttachMessage['message'];
  readonly fds: readonly OwnedFd[];
}

export const HELLO: Message = { case: 'hello', value: { protocolVersion: ATTACH_PROTOCOL_VERSION, name: 'raw' } };

function readable(fd: OwnedFd): Promise<void> {
  return new Promise((resolve, reject) => {
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

/** One connection to the attach socket. */
export class RawAttach {
  readonly fd: OwnedFd;

  constructor(runtimeDir: string) {
    this.fd = connectSeqpacket(join(runtimeDir, 'attach.sock'));
  }

  send(message: Message): void {
    this.sendRaw(encodeAttach({ message }));
  }

  /** Descriptors too, which no client may send. */
  sendRaw(bytes: Uint8Array, fds: readonly OwnedFd[] = []): 'sent' | 'full' | 'closed' {
    return sendPacket(this.fd, bytes, fds);
  }

  /** The next packet; null when the broker has closed. */
  async receive(): Promise<RawAnswer | null> {
    for (;;) {
      await readable(this.fd);
      const received = receivePacket(this.fd, PACKET_BYTES_MAX, FDS_MAX);
      if (received.kind === 'closed') return null;
      if (received.kind === 'packet') return { said: decodeAttach(received.bytes).message, fds: received.fds };
    }
  }

  async ask(message: Message): Promise<RawAnswer> {
    this.send(message);
    const answer = await this.receive();
    if (answer === null) throw new Error('the broker closed the connection');
    return answer;
  }

  /** The reason of the Refused that answers; `closed` when the broker closes instead. */
  async refusal(): Promise<string> {
    const answer = await this.receive();
    if (answer === null) return 'closed';
    for (const fd of answer.fds) fd.close();
    return answer.said.case === 'refused' ? answer.said.value.reason : `no refusal but ${answer.said.case}`;
  }

  /** Says Hello. @returns the token */
  async open(): Promise<Uint8Array> {
    const { said, fds } = await this.ask(HELLO);
    for (const fd of fds) fd.close();
    if (said.case !== 'welcome') throw new Error(`no Welcome but ${JSON.stringify(said.value)}`);
    return said.value.token;
  }

  close(): void {
    this.fd.close();
  }
}

/** As `new RawAttach`, again while the listener's backlog is full. */
export async function connectPatiently(runtimeDir: string): Promise<RawAttach> {
  for (;;) {
    try {
      return new RawAttach(runtimeDir);
    } catch (error) {
      if (!(error instanceof OsError && error.code === 'EAGAIN')) throw error;
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
}

/** The services as they are on the wire; without `token` no call is anybody's. */
export function rawRpc(runtimeDir: string, token?: Uint8Array) {
  const client = new grpc.Client(`unix:${join(runtimeDir, 'control.sock')}`, grpc.credentials.createInsecure(), {
    'grpc.use_local_subchannel_pool': 1,
  });
  const metadata = new grpc.Metadata();
  if (token !== undefined) metadata.set('authorization', `Bearer ${Buffer.from(token).toString('base64url')}`);
  return {
    options: { metadata },
    mappings: createServiceClient(MappingService, client),
    channels: createServiceClient(ChannelService, client),
    leases: createServiceClient(LeaseService, client),
    sessions: createServiceClient(SessionService, client),
    admin: createServiceClient(AdminService, client),
    close: () => client.close(),
  };
}
