/**
 * A client of whatever user it was started as, which tells how far it gets. argv: runtime directory, pid of the broker.
 * It speaks the raw protocol, because the SDK closes the descriptors that it looks at.
 */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { connect, LeaseholdError } from '@leasehold/client';
import { SubscribeMode } from '@leasehold/proto';
import { RawAttach, rawRpc } from '../hostile/raw-client.ts';
import { serveQuestions } from '../support/worker-side.ts';

const [, , runtimeDir = '', brokerPid = ''] = process.argv;
const PROBE = fileURLToPath(new URL('../users/probe.py', import.meta.url));

/** The code and message of what a call fails with; `ok` when it does not. */
async function outcome(call: () => unknown): Promise<{ code: string; message: string }> {
  try {
    await call();
    return { code: 'ok', message: '' };
  } catch (error) {
    if (!(error instanceof LeaseholdError)) throw error;
    return { code: error.code, message: error.message };
  }
}

/** Every way in, for somebody who may not come in. */
async function knock() {
  const rpc = rawRpc(runtimeDir);
  const raw = new RawAttach(runtimeDir);
  raw.send({ case: 'hello', value: { protocolVersion: 1, name: 'knock' } });
  const answers = {
    connect: await outcome(() => connect({ runtimeDir })),
    attachSocket: await raw.refusal(),
    openSession: await outcome(() => rpc.sessions.openSession({ name: 'knock' }).next()),
    call: await outcome(() => rpc.mappings.listMappings({})),
  };
  raw.close();
  rpc.close();
  return answers;
}

let session: Promise<{ raw: RawAttach; rpc: ReturnType<typeof rawRpc> }> | undefined;

async function opened() {
  session ??= (async () => {
    const raw = new RawAttach(runtimeDir);
    return { raw, rpc: rawRpc(runtimeDir, await raw.open()) };
  })();
  return session;
}

/** Subscribes, and lets the probe try what can be tried on the descriptors. */
async function probe(name: string) {
  const { raw, rpc } = await opened();
  const { attachment } = await rpc.channels.openSubscriber({ name, mode: SubscribeMode.QUEUE }, rpc.options);
  const { said, fds } = await raw.ask({ case: 'claim', value: { ticket: attachment?.ticket ?? new Uint8Array() } });
  if (said.case !== 'grant') throw new Error(`no Grant but ${said.case}`);
  const python = spawnSync('python3', [PROBE, runtimeDir, brokerPid], {
    stdio: ['ignore', 'pipe', 'inherit', ...fds.map(({ raw }) => raw)],
    encoding: 'utf8',
  });
  for (const fd of fds) fd.close();
  return {
    mappingId: said.value.mappingId,
    tried: JSON.parse(python.stdout) as Record<string, Record<string, string>>,
  };
}

/** Asks for the pages of all participants. */
async function pages(mappingId: bigint): Promise<string> {
  const { raw } = await opened();
  const participantIndices = Array.from({ length: 64 }, (_, i) => i);
  raw.send({ case: 'claimPages', value: { mappingId, participantIndices } });
  return raw.refusal();
}

/** What the policy keeps from somebody who may only read. */
async function trespass(name: string) {
  const { rpc } = await opened();
  const { options, mappings, channels, sessions, admin } = rpc;
  return {
    create: await outcome(() => mappings.createMapping({ name: 'mine', sizeBytes: 1n }, options)),
    write: await outcome(() => mappings.attachMapping({ name, access: 2 }, options)),
    publish: await outcome(() => channels.openPublisher({ name }, options).next()),
    delete: await outcome(() => channels.deleteChannel({ name }, options)),
    drain: await outcome(() => admin.drain({}, options)),
    evict: await outcome(() => sessions.evictSession({ sessionId: 1n }, options)),
  };
}

/** Uses what belongs to another session. */
async function steal({ token, ticket }: { token: Uint8Array; ticket: Uint8Array }) {
  const { raw } = await opened();
  const rpc = rawRpc(runtimeDir, token);
  const withToken = await outcome(() => rpc.mappings.listMappings({}, rpc.options));
  rpc.close();
  raw.send({ case: 'claim', value: { ticket } });
  return { withToken: withToken.code, withTicket: await raw.refusal() };
}

type Question =
  | { do: 'knock' }
  | { do: 'connect' }
  | { do: 'probe' | 'trespass'; name: string }
  | { do: 'pages'; mappingId: bigint }
  | { do: 'steal'; token: Uint8Array; ticket: Uint8Array };

serveQuestions((question: Question) => {
  switch (question.do) {
    case 'knock':
      return knock();
    case 'connect':
      return outcome(() => connect({ runtimeDir }));
    case 'probe':
      return probe(question.name);
    case 'trespass':
      return trespass(question.name);
    case 'pages':
      return pages(question.mappingId);
    case 'steal':
      return steal(question);
  }
});
