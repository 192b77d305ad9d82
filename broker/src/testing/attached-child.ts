/** A subscriber in a process of its own: claims, says so, then does as it is told on stdin until it is killed. */
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import * as grpc from '@grpc/grpc-js';
import { ChannelService, createServiceClient, SubscribeMode } from '@leasehold/proto';
import { AttachClient } from './attach-client.ts';

const [, , runtimeDir = '', name = ''] = process.argv;
const attach = new AttachClient(join(runtimeDir, 'attach.sock'));
const { token } = await attach.open('child');
const client = new grpc.Client(`unix:${join(runtimeDir, 'control.sock')}`, grpc.credentials.createInsecure());
const channels = createServiceClient(ChannelService, client);
const metadata = new grpc.Metadata();
metadata.set('authorization', `Bearer ${Buffer.from(token).toString('base64url')}`);
const { attachment } = await channels.openSubscriber({ name, mode: SubscribeMode.LATEST, maxPins: 2 }, { metadata });
await attach.claim(attachment?.ticket ?? new Uint8Array());
process.stdout.write('claimed\n');
for await (const line of createInterface({ input: process.stdin })) {
  if (line === 'disconnect') {
    attach.close();
    client.close();
  }
}
