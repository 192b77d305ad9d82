/** Tokens and tickets: worth something once, to one session, for a while. */
import { Access } from '@leasehold/proto';
import { describe, expect, it, onTestFinished } from 'vitest';
import { failureOf } from '../support/failure.ts';
import { type Message, RawAttach, rawRpc } from './raw-client.ts';
import { startSpecialBroker } from './special-broker.ts';

const claim = (ticket: Uint8Array): Message => ({ case: 'claim', value: { ticket } });

async function session(runtimeDir: string) {
  const attach = new RawAttach(runtimeDir);
  const token = await attach.open();
  const rpc = rawRpc(runtimeDir, token);
  onTestFinished(() => {
    attach.close();
    rpc.close();
  });
  const ticketFor = async (name: string): Promise<Uint8Array> => {
    const { attachment } = await rpc.mappings.attachMapping({ name, access: Access.READ }, rpc.options);
    if (attachment === undefined) throw new Error('no attachment');
    return attachment.ticket;
  };
  return { attach, token, rpc, ticketFor };
}

describe('a ticket', () => {
  it('works once, and only for the session that it was given to', async () => {
    const { runtimeDir } = await startSpecialBroker({});
    const mine = await session(runtimeDir);
    const other = await session(runtimeDir);
    await mine.rpc.mappings.createMapping({ name: 'm', sizeBytes: 100n }, mine.rpc.options);
    const ticket = await mine.ticketFor('m');
    other.attach.send(claim(ticket));
    expect(await other.attach.refusal()).toBe('TICKET_INVALID');
    const { said, fds } = await mine.attach.ask(claim(ticket));
    expect([said.case, fds.length]).toEqual(['grant', 3]);
    for (const fd of fds) fd.close();
    mine.attach.send(claim(ticket));
    expect(await mine.attach.refusal()).toBe('TICKET_INVALID');
  });

  it('that nobody claims expires, and all that it promised is taken back', async () => {
    const broker = await startSpecialBroker({ limits: { ticketTtlMs: 100 } });
    const { attach, rpc, ticketFor } = await session(broker.runtimeDir);
    await rpc.mappings.createMapping({ name: 'm', sizeBytes: 100n, maxParticipants: 1 }, rpc.options);
    const charged = async () => (await rpc.admin.getBrokerInfo({}, rpc.options)).memoryChargedBytes;
    const before = { ...broker.held(), charged: await charged() };
    const ticket = await ticketFor('m');
    expect(await charged()).toBeGreaterThan(before.charged);
    expect((await failureOf(() => ticketFor('m'))).code).toBe('PARTICIPANTS_EXHAUSTED');
    await expect
      .poll(async () => ({ ...broker.held(), charged: await charged() }), { timeout: 20_000 })
      .toEqual(before);
    attach.send(claim(ticket));
    expect(await attach.refusal()).toBe('TICKET_INVALID');
    expect((await attach.ask(claim(await ticketFor('m')))).said.case).toBe('grant');
  });
});

describe('a call', () => {
  it('without a token, or with one that is nobody’s any more, is UNAUTHENTICATED', async () => {
    const { runtimeDir } = await startSpecialBroker({});
    const past = await session(runtimeDir);
    const ended = past.token;
    await past.rpc.mappings.createMapping({ name: 'm', sizeBytes: 100n, lifetime: 2 }, past.rpc.options);
    past.attach.close();
    const ending = async () =>
      (await failureOf(() => past.rpc.mappings.getMapping({ name: 'm' }, past.rpc.options))).code;
    await expect.poll(ending, { timeout: 20_000 }).toBe('UNAUTHENTICATED');
    for (const token of [undefined, ended, new Uint8Array(32), new Uint8Array(31), new Uint8Array(1000)]) {
      const rpc = rawRpc(runtimeDir, token);
      const calls = [
        () => rpc.mappings.createMapping({ name: 'n', sizeBytes: 100n }, rpc.options),
        () => rpc.mappings.deleteMapping({ name: 'm' }, rpc.options),
        () => rpc.channels.openSubscriber({ name: 'm' }, rpc.options),
        () => rpc.mappings.watchMappings({}, rpc.options).next(),
        () => rpc.channels.openPublisher({ name: 'm' }, rpc.options).next(),
        () => rpc.sessions.listSessions({}, rpc.options),
        () => rpc.admin.drain({}, rpc.options),
      ];
      for (const call of calls) expect((await failureOf(call, String(call))).code).toBe('UNAUTHENTICATED');
      expect((await rpc.admin.getBrokerInfo({})).epoch).toBe(1);
      rpc.close();
    }
  });
});
