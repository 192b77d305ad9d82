/** Clients of the attach socket that break its rules: each is refused or dropped, and costs nobody else anything. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { connect } from '@leasehold/client';
import { ATTACH_PROTOCOL_VERSION, encodeAttach } from '@leasehold/proto';
import { connectSeqpacket, type OwnedFd } from '@leasehold/shm-core/internal';
import { describe, expect, it } from 'vitest';
import { startWorker } from '../support/processes.ts';
import { normalClient } from './normal-client.ts';
import { HELLO, type Message, RawAttach } from './raw-client.ts';
import { startSpecialBroker } from './special-broker.ts';

const CLAIM: Message = { case: 'claim', value: { ticket: new Uint8Array(16) } };
const hello = (protocolVersion: number, name = 'raw') =>
  encodeAttach({ message: { case: 'hello', value: { protocolVersion, name } } });
const WHOLE_HELLO = hello(ATTACH_PROTOCOL_VERSION);

/** A connection to send as a descriptor: to the broker itself, so that it is a socket like any. */
const descriptor = (runtimeDir: string): OwnedFd => connectSeqpacket(join(runtimeDir, 'attach.sock'));

/** What a client does instead of saying Hello, and what it gets. */
const STRANGERS: Record<string, { say: (raw: RawAttach, runtimeDir: string) => unknown; gets: string }> = {
  'says garbage': { say: (raw) => raw.sendRaw(Buffer.from('GET / HTTP/1.1\r\n\r\n')), gets: 'MALFORMED_MESSAGE' },
  'says zeros': { say: (raw) => raw.sendRaw(new Uint8Array(100)), gets: 'MALFORMED_MESSAGE' },
  'says half a Hello': { say: (raw) => raw.sendRaw(WHOLE_HELLO.subarray(0, -2)), gets: 'MALFORMED_MESSAGE' },
  'says something unknown': { say: (raw) => raw.sendRaw(Uint8Array.of(0xfa, 1, 0)), gets: 'MALFORMED_MESSAGE' },
  'says too much': { say: (raw) => raw.sendRaw(Buffer.concat([WHOLE_HELLO, Buffer.alloc(5000)])), gets: 'closed' },
  'says 100 KB': { say: (raw) => raw.sendRaw(Buffer.alloc(100_000, 1)), gets: 'closed' },
  'claims before Hello': { say: (raw) => raw.send(CLAIM), gets: 'MALFORMED_MESSAGE' },
  'speaks version 0': { say: (raw) => raw.sendRaw(hello(0)), gets: 'UNSUPPORTED_VERSION' },
  'speaks version 2': { say: (raw) => raw.sendRaw(hello(2)), gets: 'UNSUPPORTED_VERSION' },
  'has a name of 101 characters': {
    say: (raw) => raw.sendRaw(hello(ATTACH_PROTOCOL_VERSION, 'x'.repeat(101))),
    gets: 'INVALID_ARGUMENT',
  },
  'sends a descriptor with Hello': {
    say: (raw, dir) => {
      const fd = descriptor(dir);
      raw.sendRaw(WHOLE_HELLO, [fd]);
      fd.close();
    },
    gets: 'closed',
  },
  'says nothing': { say: () => undefined, gets: 'closed' },
};

/** What a client with a session does, and what it gets. */
const GUESTS: typeof STRANGERS = {
  'says Hello again': { say: (raw) => raw.send(HELLO), gets: 'closed' },
  'says what only the broker says': {
    say: (raw) => raw.send({ case: 'refused', value: { reason: 'INTERNAL', message: 'no' } }),
    gets: 'closed',
  },
  'says garbage': { say: (raw) => raw.sendRaw(Buffer.from('garbage')), gets: 'MALFORMED_MESSAGE' },
  'says too much': { say: (raw) => raw.sendRaw(Buffer.alloc(4097)), gets: 'closed' },
  'sends descriptors': {
    say: (raw, dir) => {
      const fds = Array.from({ length: 16 }, () => descriptor(dir));
      raw.sendRaw(encodeAttach({ message: CLAIM }), fds);
      for (const fd of fds) fd.close();
    },
    gets: 'closed',
  },
  'claims an unknown ticket': { say: (raw) => raw.send(CLAIM), gets: 'TICKET_INVALID' },
  'claims half a ticket': {
    say: (raw) => raw.send({ case: 'claim', value: { ticket: new Uint8Array(7) } }),
    gets: 'TICKET_INVALID',
  },
  'claims pages of nothing': {
    say: (raw) => raw.send({ case: 'claimPages', value: { mappingId: 2n ** 64n - 1n, participantIndices: [0] } }),
    gets: 'ATTACHMENT_NOT_FOUND',
  },
  'claims a thousand pages': {
    say: (raw) =>
      raw.send({
        case: 'claimPages',
        value: { mappingId: 1n, participantIndices: Array.from({ length: 1000 }, (_, i) => i) },
      }),
    gets: 'INVALID_ARGUMENT',
  },
};

describe('a client of the attach socket that breaks a rule', () => {
  it.each([
    { who: 'without a session', cases: STRANGERS, session: false },
    { who: 'with a session', cases: GUESTS, session: true },
  ])('is told so or dropped, $who, and leaves nothing behind', async ({ cases, session }) => {
    const broker = await startSpecialBroker({ limits: { helloMs: 300 } });
    const normal = await normalClient(broker.runtimeDir);
    await normal.works();
    const before = { ...broker.held(), charged: await normal.chargedBytes() };
    for (const [what, { say, gets }] of Object.entries(cases)) {
      const raw = new RawAttach(broker.runtimeDir);
      if (session) await raw.open();
      say(raw, broker.runtimeDir);
      expect(await raw.refusal(), `a client that ${what}`).toBe(gets);
      await normal.works();
      raw.close();
    }
    await expect
      .poll(async () => ({ ...broker.held(), charged: await normal.chargedBytes() }), {
        timeout: 20_000,
      })
      .toEqual(before);
  });

  it('is dropped for an empty packet, which looks like an end', async () => {
    const broker = await startSpecialBroker({});
    const normal = await normalClient(broker.runtimeDir);
    const script = `import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET); s.connect(sys.argv[1]); s.send(b''); s.settimeout(20)
print(s.recv(4096))`;
    const python = spawnSync('python3', ['-c', script, join(broker.runtimeDir, 'attach.sock')], { encoding: 'utf8' });
    expect(python.stdout, python.stderr).toBe("b''\n");
    await normal.works();
  });
});

describe('a client that reads none of its answers', () => {
  it.each([
    { grants: 0, what: 'refusals' },
    { grants: 100, what: 'descriptors' },
  ])(
    'is dropped with its $what in flight; others are served, and when it is gone nothing of it is left',
    async ({ grants }) => {
      const broker = await startSpecialBroker({});
      const normal = await normalClient(broker.runtimeDir);
      await normal.works();
      const before = { ...broker.held(), charged: await normal.chargedBytes() };
      const mute = startWorker('hostile-mute', [broker.runtimeDir]);
      const dropped = mute.ask<number>({ grants });
      await normal.works();
      await dropped;
      await normal.works();
      const another = await connect({ runtimeDir: broker.runtimeDir });
      await (await (await another.createMapping('after', { sizeBytes: 100 })).attach('read')).close();
      await another.close();
      mute.kill('SIGKILL');
      await mute.ended;
      await expect
        .poll(async () => ({ ...broker.held(), charged: await normal.chargedBytes() }), {
          timeout: 20_000,
        })
        .toEqual(before);
    },
  );
});
