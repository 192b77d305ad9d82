import type { MappingLeases } from '@leasehold/client';
import { describe, expect, it } from 'vitest';
import { tableLines } from '../program/output.ts';
import { fakeContext } from '../program/testing/fake-context.ts';
import { leaseColumns, leaseRows } from './lease-table.ts';

const principal = (pid: number, name: string) => ({ pid, uid: 1000, gid: 1000, sessionId: 9n, name });
const HELD = {
  holdId: 72_057_594_037_927_937n,
  mode: 'exclusive',
  fencingToken: 281_474_976_710_657n,
  holder: principal(17, 'writer'),
  timeLeftMs: 4_230,
  overdue: false,
} as const;
const WAITING = { principal: principal(18, ''), mode: 'shared', waitingMs: 1_260, holdId: 5n, position: 0 } as const;
const LEASES: MappingLeases = {
  mappingName: 'table',
  mappingId: 3n,
  channel: false,
  dirty: false,
  fencingToken: HELD.fencingToken,
  holders: [HELD],
  waiters: [WAITING, { ...WAITING, holdId: 6n, position: 1, mode: 'exclusive' }],
};

const userName = (uid: number) => (uid === 1000 ? 'ada' : String(uid));
const rowsOf = (more: Partial<MappingLeases>) => leaseRows([{ ...LEASES, ...more }], userName);

describe('the table of leases', () => {
  it('has a row for each holder and each waiter, in their order', () => {
    const held = ['exclusive', '17', 'ada', 'writer', '4.2 s left', '281474976710657', '72057594037927937'];
    expect(rowsOf({})).toEqual([
      ['table', 'held', ...held],
      ['', 'waiting #1', 'shared', '18', 'ada', '–', '1.3 s so far', '–', '5'],
      ['', 'waiting #2', 'exclusive', '18', 'ada', '–', '1.3 s so far', '–', '6'],
    ]);
  });

  it('says when a holder is overdue, and promises it no time', () => {
    const [row] = rowsOf({ holders: [{ ...HELD, overdue: true, timeLeftMs: 0 }], waiters: [] });
    expect(row?.slice(1, 3)).toEqual(['overdue', 'exclusive']);
    expect(row?.[6]).toBe('–');
  });

  it('says that data is in doubt, whether somebody holds the lock or nobody does', () => {
    expect(rowsOf({ dirty: true })[0]?.[1]).toBe('held, dirty');
    const free = rowsOf({ dirty: true, holders: [], waiters: [] });
    expect(free).toEqual([['table', 'free, dirty', ...Array(7).fill('–')]]);
  });

  it('shows a lock that is free while somebody still waits', () => {
    expect(rowsOf({ holders: [] }).map(([name, state]) => [name, state])).toEqual([
      ['table', 'free'],
      ['', 'waiting #1'],
      ['', 'waiting #2'],
    ]);
  });

  it('shows a holder whose session is over', () => {
    expect(rowsOf({ holders: [{ ...HELD, holder: null }] })[0]?.slice(3, 6)).toEqual(['–', '–', 'gone']);
  });

  it('paints what needs an eye on it, and lets no name steer the terminal', () => {
    const context = fakeContext({ tty: true, env: { TERM: 'xterm' } });
    const rows = rowsOf({ dirty: true, waiters: [{ ...WAITING, principal: principal(18, '\u001b[2J') }] });
    const text = tableLines(context, leaseColumns(context), rows).join('\n');
    expect(text).toContain('\u001b[31mheld, dirty');
    expect(text).toContain('\u001b[2mwaiting #1');
    expect(text).not.toContain('\u001b[2J');
    const plain = fakeContext();
    expect(tableLines(plain, leaseColumns(plain), rows).join('\n')).not.toContain('\u001b');
  });
});
