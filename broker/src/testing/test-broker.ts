/** A real broker in a temporary directory, in the process of the test, and clients for it. */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as grpc from '@grpc/grpc-js';
import {
  AdminService,
  ChannelService,
  createServiceClient,
  LeaseService,
  MappingService,
  SessionService,
} from '@leasehold/proto';
import { pino } from 'pino';
import { type BrokerOptions, type RunningBroker, startBroker } from '../broker.ts';
import { openRuntimeDir } from '../runtime/runtime-dir.ts';
import { AttachClient, type OpenedSession } from './attach-client.ts';

export type TestBroker = Awaited<ReturnType<typeof startTestBroker>>;

export async function startTestBroker(
  options: Partial<Omit<BrokerOptions, 'runtimeDir'>> & { readonly system?: boolean } = {},
) {
  const path = mkdtempSync(join(tmpdir(), 'leasehold-broker-'));
  const { system = false, ...rest } = options;
  const runtimeDir = openRuntimeDir({ path, system });
  const logger = pino({ level: process.env.LEASEHOLD_TEST_LOG ?? 'silent' });
  const broker: RunningBroker = await startBroker({ epoch: 7, logger, ...rest, runtimeDir });
  return {
    broker,
    runtimeDir,
    async stop(): Promise<void> {
      await broker.close();
      runtimeDir.close();
      rmSync(path, { recursive: true, force: true });
    },
  };
}

export function rpcClient(controlSocket: string, token?: Uint8Array) {
  const client = new grpc.Client(`unix:${controlSocket}`, grpc.credentials.createInsecure(), {
    'grpc.use_local_subchannel_pool': 1,
  });
  const metadata = new grpc.Metadata();
  if (token !== undefined) metadata.set('authorization', `Bearer ${Buffer.from(token).toString('base64url')}`);
  return {
    client,
    options: { metadata },
    mappings: createServiceClient(MappingService, client),
    channels: createServiceClient(ChannelService, client),
    leases: createServiceClient(LeaseService, client),
    sessions: createServiceClient(SessionService, client),
    admin: createServiceClient(AdminService, client),
    close: () => client.close(),
  };
}

export type RpcClient = ReturnType<typeof rpcClient>;

export interface TestClient extends RpcClient, OpenedSession {
  readonly attach: AttachClient;
}

/** A whole client: attach session and gRPC. */
export async function openClient({ runtimeDir }: TestBroker, name = 'test'): Promise<TestClient> {
  const attach = new AttachClient(runtimeDir.attachSocket);
  const opened = await attach.open(name);
  const rpc = rpcClient(runtimeDir.controlSocket, opened.token);
  return {
    ...rpc,
    ...opened,
    attach,
    close() {
      attach.close();
      opened.bell.close();
      rpc.close();
    },
  };
}

export const openDescriptors = (): number => readdirSync('/proc/self/fd').length;

/** Gives the event loop turns until the condition holds; fails by the test's own timeout. */
export async function eventually(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve));
}
