/**
 * A command for `leasehold session`: takes an exclusive lease by RPC with the token from its environment, as any language can, says
 * what it was given as a line of JSON, and ends when its stdin does.
 */
import * as grpc from '@grpc/grpc-js';
import { createServiceClient, LeaseMode, LeaseService } from '@leasehold/proto';

const { LEASEHOLD_CONTROL_SOCKET, LEASEHOLD_SESSION_TOKEN, LEASEHOLD_SESSION_ID } = process.env;
const [, , name = ''] = process.argv;

const client = new grpc.Client(`unix:${LEASEHOLD_CONTROL_SOCKET}`, grpc.credentials.createInsecure());
const metadata = new grpc.Metadata();
metadata.set('authorization', `Bearer ${LEASEHOLD_SESSION_TOKEN}`);
const leases = createServiceClient(LeaseService, client);
const { lease } = await leases.acquireLease(
  { name, mode: LeaseMode.EXCLUSIVE, ttlMs: 60_000, waitMs: 0n },
  { metadata },
);
const { sessionId, pid } = lease?.holder ?? {};
console.log(JSON.stringify({ told: LEASEHOLD_SESSION_ID, sessionId: String(sessionId), pid, own: process.pid }));
process.stdin.resume().on('end', () => {
  client.close();
  process.exit(4);
});
