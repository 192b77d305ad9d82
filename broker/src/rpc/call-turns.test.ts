import { describe, expect, it } from 'vitest';
import type { Session } from '../domain/session.ts';
import { fakeWorld } from '../domain/testing/fake-ports.ts';
import { CallTurns } from './call-turns.ts';

const PEER = { pid: 1, uid: 1000, gid: 1000, groups: [] };

/** Two sessions that take turns, each of which begins when it is told. */
function setUp(callsPerTurn: number) {
  const { core } = fakeWorld();
  const [greedy, modest] = [core.openSession(PEER, 'greedy', null), core.openSession(PEER, 'modest', null)];
  const turns: (() => void)[] = [];
  const calls = new CallTurns(callsPerTurn, (action) => turns.push(action));
  const begun: string[] = [];
  const ask = ({ session }: { session: Session }, call: string) => calls.run(session, () => begun.push(call) > 0);
  /** What is begun in the next turn. */
  const nextTurn = () => {
    begun.length = 0;
    turns.shift()?.();
    return begun;
  };
  const askAndCancel = ({ session }: { session: Session }) => calls.run(session, () => false);
  return { greedy, modest, begun, ask, askAndCancel, nextTurn, pendingTurns: () => turns.length };
}

describe('turns of the event loop', () => {
  it('begin so many calls of a session each, in the order they came in', () => {
    const { greedy, begun, ask, nextTurn } = setUp(2);
    for (const call of ['1', '2', '3', '4', '5']) ask(greedy, call);
    expect(begun).toEqual(['1', '2']);
    ask(greedy, '6');
    expect(nextTurn()).toEqual(['3', '4']);
    expect(nextTurn()).toEqual(['5', '6']);
    expect(nextTurn()).toEqual([]);
  });

  it('do not let a session wait for what another has asked for', () => {
    const { greedy, modest, begun, ask, nextTurn } = setUp(2);
    for (const call of ['1', '2', '3', '4', '5']) ask(greedy, call);
    ask(modest, 'modest 1');
    expect(begun).toEqual(['1', '2', 'modest 1']);
    nextTurn();
    ask(modest, 'modest 2');
    expect(begun).toEqual(['3', '4', 'modest 2']);
  });

  it('let no call overtake an earlier one of its session', () => {
    const { greedy, begun, ask, nextTurn } = setUp(1);
    ask(greedy, '1');
    ask(greedy, '2');
    ask(greedy, '3');
    nextTurn();
    ask(greedy, '4');
    expect(begun).toEqual(['2']);
    expect([...nextTurn(), ...nextTurn()]).toEqual(['3', '4']);
  });

  it('are not taken by calls that were cancelled meanwhile, however many', () => {
    const { greedy, begun, ask, askAndCancel, nextTurn } = setUp(2);
    askAndCancel(greedy);
    for (const call of ['1', '2']) ask(greedy, call);
    for (let cancelled = 0; cancelled < 1_000; cancelled += 1) askAndCancel(greedy);
    ask(greedy, '3');
    expect(begun).toEqual(['1', '2']);
    expect(nextTurn()).toEqual(['3']);
  });

  it('are counted anew after each, and cost nothing when nobody calls', () => {
    const { modest, begun, ask, nextTurn, pendingTurns } = setUp(1);
    ask(modest, '1');
    nextTurn();
    ask(modest, '2');
    expect(begun).toEqual(['2']);
    nextTurn();
    expect(pendingTurns()).toBe(0);
  });
});
