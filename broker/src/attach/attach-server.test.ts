/** The attach socket under clients that die, break the rules, or never claim what they were promised. */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Policy } from '../domain/policy.ts';
import { AttachClient, READ, WRITE } from '../testing/attach-client.ts';
import { closeAll, createChannel, createMapping, subscribe, useTestBroker } from '../testing/fixture.ts';
import { eventually, openDescriptors } from '../testing/test-broker.ts';

const { running, restart, client, closeClients } = useTestBroker({ beforeEach, afterEach });

describe('a ticket', () => {
  it('works once, and only for the session it was given to', async () => {
    const [me, other] = [await client(), await client()];
    await createMapping(me, 'm');
    const { attachment } = await me.mappings.attachMapping({ name: 'm', access: READ }, me.options);
    const ticket = attachment?.ticket ?? new Uint8Array();
    const invalid = { said: { case: 'refused', value: { reason: 'TICKET_INVALID' } } };
    expect(await other.attach.ask({ case: 'claim', value: { ticket } })).toMatchObject(invalid);
    closeAll((await me.attach.claim(ticket)).fds);
    expect(await me.attach.ask({ case: 'claim', value: { ticket } })).toMatchObject(invalid);
  });

  it('expires, and what it promised is taken back', async () => {
    await restart({ limits: { ticketTtlMs: 1 } });
    const me = await client();
    await createMapping(me, 'm');
    const before = running().broker.snapshot().memory.chargedBytes;
    const { attachment } = await me.mappings.attachMapping({ name: 'm', access: READ }, me.options);
    await eventually(() => running().broker.snapshot().memory.chargedBytes === before);
    const answer = await me.attach.ask({ case: 'claim', value: { ticket: attachment?.ticket ?? new Uint8Array() } });
    expect(answer.said).toMatchObject({ case: 'refused', value: { reason: 'TICKET_INVALID' } });
  });
});

describe('a process that dies', () => {
  it('keeps its place until it is gone, and is vacated when it was killed', async () => {
    const me = await client();
    await createChannel(me, 'c', { slots: 4 });
    const script = fileURLToPath(new URL('../testing/attached-child.ts', import.meta.url));
    const child = spawn(process.execPath, ['--conditions=leasehold-source', script, running().runtimeDir.path, 'c'], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const said = (async () => {
      for await (const chunk of child.stdout) return String(chunk).trim();
      return 'nothing';
    })();
    expect(await said).toBe('claimed');
    await expect(subscribe(me, 'c', 1)).rejects.toMatchObject({ code: 'PINS_EXHAUSTED' });
    // The session ends although the process lives: its rights are over, its pins still count.
    child.stdin.write('disconnect\n');
    await eventually(() => running().broker.snapshot().sessions === 1);
    expect(running().broker.snapshot().channels[0]?.subscribers).toEqual([]);
    await expect(subscribe(me, 'c', 1)).rejects.toMatchObject({ code: 'PINS_EXHAUSTED' });
    const charged = running().broker.snapshot().memory.chargedBytes;
    child.kill('SIGKILL');
    await eventually(() => running().broker.snapshot().memory.chargedBytes < charged);
    await expect(subscribe(me, 'c', 2)).resolves.toBeDefined();
  });
});

describe('clients that break the rules', () => {
  it('are refused or dropped, and leave no descriptor behind', async () => {
    await restart({ limits: { helloMs: 50, firstCallMs: 50 } });
    const path = running().runtimeDir.attachSocket;
    const before = openDescriptors();

    const garbage = new AttachClient(path);
    garbage.sendRaw(new Uint8Array([255, 255, 255]));
    expect((await garbage.receive())?.said).toMatchObject({ value: { reason: 'MALFORMED_MESSAGE' } });
    expect(await garbage.receive()).toBeNull();

    const newer = new AttachClient(path);
    const answer = await newer.ask({ case: 'hello', value: { protocolVersion: 99, name: '' } });
    expect(answer.said).toMatchObject({ value: { reason: 'UNSUPPORTED_VERSION' } });

    const silent = new AttachClient(path);
    expect(await silent.receive()).toBeNull();

    const eager = new AttachClient(path);
    const { bell } = await eager.open();
    eager.send({ case: 'hello', value: { protocolVersion: 1, name: 'again' } });
    expect(await eager.receive()).toBeNull();

    const generous = new AttachClient(path);
    const opened = await generous.open();
    generous.sendRaw(new Uint8Array([1]), [opened.bell]);
    expect(await generous.receive()).toBeNull();

    for (const each of [garbage, newer, silent, eager, generous, bell, opened.bell]) each.close();
    await eventually(() => openDescriptors() <= before);
    expect(running().broker.snapshot().sessions).toBe(0);
  });

  it('cannot crowd the attach socket: beyond the bound connections are told so and closed', async () => {
    const crowd = Array.from({ length: 100 }, () => new AttachClient(running().runtimeDir.attachSocket));
    const before = openDescriptors();
    // The last ones: of the others, the refusals may have made room for these.
    for (const each of crowd.slice(-8)) {
      expect((await each.receive())?.said).toMatchObject({ case: 'refused', value: { reason: 'TOO_MANY_SESSIONS' } });
      expect(await each.receive()).toBeNull();
    }
    expect(openDescriptors()).toBeLessThanOrEqual(before + 2 * 64 + 32);
    for (const each of crowd) each.close();
    await expect(client()).resolves.toBeDefined();
  });

  it('whom the policy denies are told at once, also when they speak first, and take no place', async () => {
    let denied = true;
    const policy: Policy = () => (denied ? { allowed: false, why: 'the test says so' } : { allowed: true });
    await restart({ policy, limits: { unwelcomedPerUid: 1 } });
    const before = openDescriptors();
    const path = running().runtimeDir.attachSocket;
    const strangers = Array.from({ length: 40 }, () => new AttachClient(path));
    strangers.at(-1)?.send({ case: 'hello', value: { protocolVersion: 1, name: 'eager' } });
    for (const each of strangers.slice(-20)) {
      expect((await each.receive())?.said).toMatchObject({ case: 'refused', value: { reason: 'PERMISSION_DENIED' } });
    }
    denied = false;
    await expect(client()).resolves.toBeDefined();
    closeClients();
    for (const each of strangers) each.close();
    await eventually(() => openDescriptors() <= before);
  });

  it('that claim before they have read the last answer are dropped, with nothing of theirs in flight', async () => {
    const me = await client();
    await createMapping(me, 'm');
    const { attachment } = await me.mappings.attachMapping({ name: 'm', access: WRITE }, me.options);
    const { grant, fds } = await me.attach.claim(attachment?.ticket ?? new Uint8Array());
    closeAll(fds);
    const { mappingId } = grant;
    const claimPages = { case: 'claimPages' as const, value: { mappingId, participantIndices: [0] } };
    // One after the other, each answer read: any number of them.
    for (let i = 0; i < 60; i += 1) closeAll((await me.attach.ask(claimPages)).fds);
    for (let i = 0; i < 60; i += 1) me.attach.send(claimPages);
    const answers = [];
    for (let answer = await me.attach.receive(); answer !== null; answer = await me.attach.receive()) {
      closeAll(answer.fds);
      answers.push(answer.said.case);
    }
    expect(answers.length).toBeLessThanOrEqual(1);
    await eventually(() => running().broker.snapshot().sessions === 0);
  });

  it('that never read their answers are dropped', async () => {
    const me = await client();
    const packet = { case: 'claim' as const, value: { ticket: new Uint8Array(16) } };
    await expect(
      (async () => {
        for (;;) {
          me.attach.send(packet);
          await new Promise((resolve) => setImmediate(resolve));
        }
      })(),
    ).rejects.toThrow(/closed|full/);
    await eventually(() => running().broker.snapshot().sessions === 0);
  });
});
