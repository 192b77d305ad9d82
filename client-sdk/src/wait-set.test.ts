import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { bindDoorbell, openRinger } from '@leasehold/shm-core/internal';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Doorbell } from './doorbell.ts';
import type { SourceState } from './frame-source.ts';
import type { RingListener } from './frame-waits.ts';
import { type Waitable, WaitSet } from './wait-set.ts';

let directory = '';
let doorbell: Doorbell;
let lost: Error | null = null;
beforeEach(() => {
  directory = mkdtempSync('/tmp/wait-set-');
  doorbell = new Doorbell(bindDoorbell(join(directory, 'bell'), 0o600));
  lost = null;
});
afterEach(() => {
  doorbell.close();
  rmSync(directory, { recursive: true });
});

/** A subscription that counts what a set does to it. */
class FakeMember implements Waitable {
  now: SourceState = 'nothing';
  looks = 0;
  asks = 0;
  readonly listeners = new Set<RingListener>();
  bell = doorbell;
  readonly waits = {
    listen: (listener: RingListener): void => void this.listeners.add(listener),
    unlisten: (listener: RingListener): void => void this.listeners.delete(listener),
    ask: (): void => {
      this.asks += 1;
    },
    state: (): SourceState => {
      this.looks += 1;
      return this.now;
    },
    hearsBy: (bell: Doorbell): boolean => bell === this.bell,
  };

  ring(now: SourceState): void {
    this.now = now;
    for (const listener of this.listeners) listener.onRing();
  }
}

function setOf(count: number): { set: WaitSet<FakeMember>; members: FakeMember[]; first: FakeMember } {
  const set = new WaitSet<FakeMember>({ doorbell, lostSince: () => lost, endedBecause: () => lost });
  const members = Array.from({ length: count }, () => new FakeMember());
  for (const member of members) set.add(member);
  const [first] = members;
  if (first === undefined) throw new Error('a set without members');
  return { set, members, first };
}

describe('a wait set', () => {
  it('looks at nobody but who was rung: thousands of idle members cost nothing per wake-up', async () => {
    const { set, members, first } = setOf(5_000);
    let waiting = set.wait();
    const idle = members.slice(1);
    const done = (): number => idle.reduce((sum, member) => sum + member.looks + member.asks, 0);
    const atFirst = done();
    for (let wakes = 0; wakes < 100; wakes += 1) {
      first.ring('frames');
      expect(await waiting).toEqual([first]);
      first.now = 'nothing';
      waiting = set.wait();
    }
    expect(done() - atFirst).toBe(0);
    set.close();
    expect(await waiting).toEqual([]);
  });

  it('reports together those that rang together, and again those that still have frames', async () => {
    const { set, members } = setOf(3);
    const waiting = set.wait();
    members[2]?.ring('frames');
    members[0]?.ring('frames');
    expect(await waiting).toEqual([members[2], members[0]]);
    if (members[2] !== undefined) members[2].now = 'nothing';
    expect(await set.wait()).toEqual([members[0]]);
  });

  it('asks to be rung before it looks, so that no frame comes in between unheard', async () => {
    const { set, first } = setOf(1);
    first.waits.ask = () => {
      first.now = 'frames';
    };
    expect(await set.wait()).toEqual([first]);
  });

  it('sleeps on after a ring that brought nothing, armed anew', async () => {
    const { set, first } = setOf(1);
    const waiting = set.wait();
    const asked = first.asks;
    first.ring('nothing');
    expect(first.asks).toBe(asked + 1);
    first.ring('frames');
    expect(await waiting).toEqual([first]);
  });

  it('reports a member that is over once, and lets it go', async () => {
    const { set, members, first } = setOf(2);
    first.now = 'over';
    expect(await set.wait()).toEqual([first]);
    expect([set.size, set.has(first), first.listeners.size]).toEqual([1, false, 0]);
    members[1]?.ring('over');
    expect(await set.wait()).toEqual([members[1]]);
    expect(await set.wait()).toEqual([]);
    expect(set.waitSync()).toEqual([]);
  });

  it('hears members that are added while it waits, and ends when the last is deleted', async () => {
    const { set, first } = setOf(1);
    const waiting = set.wait();
    const late = new FakeMember();
    late.now = 'frames';
    set.add(late).add(late);
    expect(await waiting).toEqual([late]);
    late.now = 'nothing';
    const next = set.wait();
    expect([set.delete(first), set.delete(first), set.delete(late)]).toEqual([true, false, true]);
    expect(await next).toEqual([]);
  });

  it('keeps its bounds, and is waited on by one at a time', async () => {
    const { set, first } = setOf(1);
    await expect(set.wait({ timeoutMs: 0 })).rejects.toMatchObject({ code: 'TIMED_OUT' });
    await expect(set.wait({ timeoutMs: 1 })).rejects.toMatchObject({ code: 'TIMED_OUT' });
    expect(() => set.waitSync({ timeoutMs: 1 })).toThrow(expect.objectContaining({ code: 'TIMED_OUT' }));
    const controller = new AbortController();
    const aborted = expect(set.wait({ signal: controller.signal })).rejects.toMatchObject({ code: 'ABORTED' });
    await expect(set.wait()).rejects.toMatchObject({ code: 'INVALID_STATE' });
    controller.abort();
    await aborted;
    const gone = expect(set.wait()).rejects.toThrow('no broker');
    lost = new Error('no broker');
    first.ring('nothing');
    await gone;
  });

  it('refuses members of another connection, and all when it is closed', async () => {
    const { set, first } = setOf(1);
    const stranger = new FakeMember();
    stranger.bell = new Doorbell(bindDoorbell(join(directory, 'other'), 0o600));
    expect(() => set.add(stranger)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }));
    stranger.bell.close();
    set.close();
    expect([set.size, first.listeners.size]).toEqual([0, 0]);
    expect(() => set.add(first)).toThrow(expect.objectContaining({ code: 'CLOSED' }));
    await expect(set.wait()).rejects.toMatchObject({ code: 'CLOSED' });
  });

  it('lets the event loop have a turn although somebody is always ready', async () => {
    const { set, first } = setOf(1);
    first.now = 'frames';
    let turned = false;
    setImmediate(() => {
      turned = true;
    });
    for (let waits = 0; !turned; waits += 1) {
      expect(waits).toBeLessThan(100_000);
      expect(await set.wait()).toEqual([first]);
    }
  });

  it('that is only looked at, without waiting, tells of frames every time', async () => {
    const { set, first } = setOf(1);
    first.now = 'frames';
    for (let polls = 0; polls < 200; polls += 1) expect(await set.wait({ timeoutMs: 0 })).toEqual([first]);
  });

  it('whose timeout is over hears first what was rung while the event loop stood still', async () => {
    const { set, first } = setOf(1);
    doorbell.enter(1n, 0, {
      wake: () => {
        first.ring('frames');
        return false;
      },
    });
    const waiting = set.wait({ timeoutMs: 1 });
    const ringer = openRinger();
    ringer.ring(join(directory, 'bell'), new Uint8Array(0));
    ringer.close();
    const until = performance.now() + 5;
    while (performance.now() < until);
    expect(await waiting).toEqual([first]);
  });

  it('is a loop, until it is empty or closed', async () => {
    const { set, first } = setOf(1);
    first.now = 'frames';
    let rounds = 0;
    for await (const ready of set) {
      expect(ready).toEqual([first]);
      rounds += 1;
      if (rounds === 3) first.now = 'over';
    }
    expect(rounds).toBe(4);
  });
});
