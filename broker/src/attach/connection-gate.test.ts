import { describe, expect, it } from 'vitest';
import { ConnectionGate } from './connection-gate.ts';

const DENIED_FROM_UID = 5000;
const gate = () =>
  new ConnectionGate({
    placesMax: 10,
    placesReserved: 3,
    perUidMax: 5,
    deniedPerUidMax: 2,
    deniedMax: 4,
    ownUid: 1000,
    mayConnect: ({ uid }) => uid < DENIED_FROM_UID,
  });
const peer = (uid: number) => ({ pid: 1, uid, gid: uid, groups: [] });
/** How many of `count` connections get in. */
const enter = (to: ConnectionGate, uid: number, count: number) =>
  Array.from({ length: count }, () => to.enter(peer(uid))).filter((leave) => leave !== null);

describe('a connection gate', () => {
  it('lets any number of denied users take no more than their share', () => {
    const entered = gate();
    expect([5000, 5001, 5002, 5003].map((uid) => enter(entered, uid, 9).length)).toEqual([2, 2, 0, 0]);
    expect(enter(entered, 2000, 9)).toHaveLength(3);
  });

  it('keeps the last places for root and the own user', () => {
    const entered = gate();
    expect([2000, 2001, 2002].map((uid) => enter(entered, uid, 9).length)).toEqual([5, 2, 0]);
    expect([1000, 0].map((uid) => enter(entered, uid, 2).length)).toEqual([2, 1]);
  });

  it('gives a place back once, however often it is left', () => {
    const entered = gate();
    const [leave] = enter(entered, 2000, 5);
    leave?.();
    leave?.();
    expect(enter(entered, 2000, 5)).toHaveLength(1);
  });

  it('takes a policy that throws for one that denies', () => {
    const failing = new ConnectionGate({
      placesMax: 10,
      placesReserved: 3,
      perUidMax: 5,
      deniedPerUidMax: 2,
      deniedMax: 4,
      ownUid: 1000,
      mayConnect: () => {
        throw new Error('no policy');
      },
    });
    expect(enter(failing, 2000, 9)).toHaveLength(2);
  });
});
