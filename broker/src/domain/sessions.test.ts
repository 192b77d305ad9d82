import { describe, expect, it } from 'vitest';
import { fakeWorld } from './testing/fake-ports.ts';

const code = (expected: string) => expect.objectContaining({ code: expected });
const peer = { pid: 1, uid: 1000, gid: 1000, groups: [] };

describe('a token', () => {
  it('is worth something to its own user only, and only while its session lives', () => {
    const { core } = fakeWorld();
    const { session, token } = core.openSession(peer, 'me', null);
    expect(core.sessions.authenticate(token, 1000)).toBe(session);
    expect(() => core.sessions.authenticate(token, 0)).toThrow(code('UNAUTHENTICATED'));
    expect(() => core.sessions.authenticate(token.slice(1), 1000)).toThrow(code('UNAUTHENTICATED'));
    core.endSession(session, true);
    expect(() => core.sessions.authenticate(token, 1000)).toThrow(code('UNAUTHENTICATED'));
  });
});

describe('sessions', () => {
  it('of one user are bounded, and those of another user do not count', () => {
    const { core, open } = fakeWorld({ quotas: { perUser: { sessions: 2 } } });
    const first = open();
    open();
    expect(() => open()).toThrow(code('TOO_MANY_SESSIONS'));
    open({ uid: 0 });
    core.endSession(first, true);
    open();
  });

  it('count until their process can touch nothing more', async () => {
    const { core, open } = fakeWorld({ quotas: { perUser: { sessions: 1 } } });
    const session = open();
    const { attachMapping, createMapping, claimTicket } = await import('./mapping-operations.ts');
    const request = { name: 'm', sizeBytes: 1n, reserveBytes: 0n, lifetime: 'persistent', maxParticipants: 0 } as const;
    const signal = new AbortController().signal;
    const memory = { pages: 'never', locked: false, numaNode: null } as const;
    await createMapping(core, session, { ...request, ...memory }, { ifExists: 'fail', signal });
    const { ticket } = await attachMapping(core, session, { name: 'm', access: 'read', forLeases: false });
    claimTicket(core, session, ticket.bytes);
    core.endSession(session, false);
    expect(session.ended).toBe(true);
    expect(session.vacated).toBe(false);
    expect(() => open()).toThrow(code('TOO_MANY_SESSIONS'));
    core.processGone(session);
    expect(session.vacated).toBe(true);
    open();
  });

  it('of users whom the policy does not know are refused', () => {
    const { open } = fakeWorld();
    expect(() => open({ uid: 33 })).toThrow(code('PERMISSION_DENIED'));
    open({ uid: 0 });
  });

  it('have names of a bounded length', () => {
    const { core } = fakeWorld();
    expect(() => core.openSession(peer, 'x'.repeat(101), null)).toThrow(code('INVALID_ARGUMENT'));
  });

  it('keep what happened to them until somebody watches, and of too much the newest', () => {
    const { open } = fakeWorld({ limits: { pendingSessionEvents: 2 } });
    const session = open();
    for (const deadlineMs of [1, 2, 3]) session.notify({ kind: 'draining', deadlineMs });
    const seen: unknown[] = [];
    const stop = session.watch((event) => seen.push(event));
    session.notify({ kind: 'draining', deadlineMs: 4 });
    stop();
    session.notify({ kind: 'draining', deadlineMs: 5 });
    expect(seen).toEqual([2, 3, 4].map((deadlineMs) => ({ kind: 'draining', deadlineMs })));
  });

  it('are told when the broker drains, and draining is over when the last has left', async () => {
    const { core, open, clock } = fakeWorld();
    const [first, second] = [open(), open()];
    let drained = false;
    const draining = core.drain(1000).then(() => {
      drained = true;
    });
    expect(() => open()).toThrow(code('DRAINING'));
    core.endSession(first, true);
    await Promise.resolve();
    expect(drained).toBe(false);
    core.endSession(second, true);
    await draining;
    expect(clock.pendingTimers).toBe(0);
  });

  it('that do not leave are not waited for beyond the time given', async () => {
    const { core, open, clock } = fakeWorld();
    open();
    const draining = core.drain(1000);
    clock.advance(1000);
    await draining;
  });
});
