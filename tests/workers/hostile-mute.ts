/** A client that asks and asks and reads no answer, until it is dropped. argv: runtime directory. */
import { encodeAttach } from '@leasehold/proto';
import { RawAttach, rawRpc } from '../hostile/raw-client.ts';
import { serveQuestions } from '../support/worker-side.ts';

const PACKETS_MAX = 200_000;
const [, , runtimeDir = ''] = process.argv;
const raw = new RawAttach(runtimeDir);
const rpc = rawRpc(runtimeDir, await raw.open());

const claimOf = (ticket: Uint8Array) => encodeAttach({ message: { case: 'claim', value: { ticket } } });

/** Tickets that promise three descriptors each. */
async function tickets(count: number): Promise<Uint8Array[]> {
  await rpc.mappings.createMapping({ name: 'mute', sizeBytes: 100n, maxParticipants: 128 }, rpc.options);
  const claims: Uint8Array[] = [];
  for (let i = 0; i < count; i += 1) {
    const { attachment } = await rpc.mappings.attachMapping({ name: 'mute', access: 1 }, rpc.options);
    claims.push(claimOf(attachment?.ticket ?? new Uint8Array()));
  }
  return claims;
}

/** `grants`: how many real tickets come before the worthless ones. Answers with how many packets the broker took. */
serveQuestions(async ({ grants }: { grants: number }) => {
  const claims = grants === 0 ? [] : await tickets(grants);
  const worthless = claimOf(new Uint8Array(16));
  for (let i = 0; i < PACKETS_MAX; i += 1) {
    const sent = raw.sendRaw(claims[i] ?? worthless);
    if (sent === 'closed') return i;
    if (sent === 'full') await new Promise((resolve) => setImmediate(resolve));
  }
  throw new Error(`the broker took ${PACKETS_MAX} packets of a client that reads nothing`);
});
