/**
 * What `leasehold leases` shows: a row for each holder and each waiter, mapping by mapping, in the order in which the lock will be given.
 * The JSON shape is that of the SDK: camelCase, units in the names, u64 as decimal strings.
 */
import type { LeaseHolderInfo, LeaseWaiterInfo, MappingLeases, PrincipalInfo } from '@leasehold/client';
import type { CliContext } from '../program/context.ts';
import { colorsFor, type TableColumn } from '../program/output.ts';
import type { UserNames } from './user-names.ts';

type Cells = readonly string[];

const NONE = '–';
const STATE = 1;

/** The columns, painted for whoever looks at stdout. */
export function leaseColumns(context: CliContext): TableColumn[] {
  const { bold, dim, red, yellow } = colorsFor(context, 'stdout');
  const paintState = (text: string): string => {
    if (text.includes('dirty')) return red(text);
    if (text.startsWith('overdue')) return yellow(text);
    return text;
  };
  const paint = (text: string, row: Cells): string => (isWaiting(row) ? dim(text) : text);
  return [
    { heading: 'MAPPING', paint: (text) => (text === '' ? '' : bold(text)) },
    { heading: 'STATE', paint: (text, row) => (isWaiting(row) ? dim(text) : paintState(text)) },
    { heading: 'MODE', paint },
    { heading: 'PID', align: 'right', paint },
    { heading: 'USER', paint },
    { heading: 'NAME', paint },
    { heading: 'TIME', align: 'right', paint },
    { heading: 'TOKEN', align: 'right', paint },
    { heading: 'HOLD ID', align: 'right', paint },
  ];
}

export function leaseRows(mappings: readonly MappingLeases[], userName: UserNames): Cells[] {
  return mappings.flatMap((mapping) => mappingRows(mapping, userName));
}

/** The name stands in the first row of a mapping alone; what is wrong with its data, too. */
function mappingRows(mapping: MappingLeases, userName: UserNames): Cells[] {
  const { mappingName, dirty, holders, waiters } = mapping;
  const rows = [
    ...holders.map((holder) => holderCells(holder, userName)),
    ...waiters.map((waiter) => waiterCells(waiter, userName)),
  ];
  if (holders.length === 0) rows.unshift(['free', ...Array<string>(7).fill(NONE)]);
  return rows.map(([state = '', ...cells], index) =>
    index === 0 ? [mappingName, dirty ? `${state}, dirty` : state, ...cells] : ['', state, ...cells],
  );
}

function holderCells(holder: LeaseHolderInfo, userName: UserNames): Cells {
  const { mode, overdue, timeLeftMs, fencingToken, holdId } = holder;
  const state = overdue ? 'overdue' : 'held';
  const time = overdue ? NONE : `${seconds(timeLeftMs)} left`;
  return [state, mode, ...principalCells(holder.holder, userName), time, String(fencingToken), String(holdId)];
}

function waiterCells({ principal, mode, waitingMs, holdId, position }: LeaseWaiterInfo, userName: UserNames): Cells {
  const time = `${seconds(waitingMs)} so far`;
  return [`waiting #${position + 1}`, mode, ...principalCells(principal, userName), time, NONE, String(holdId)];
}

function principalCells(principal: PrincipalInfo | null, userName: UserNames): Cells {
  if (principal === null) return [NONE, NONE, 'gone'];
  const { pid, uid, name } = principal;
  return [String(pid), userName(uid), name === '' ? NONE : name];
}

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(1)} s`;
}

function isWaiting(row: Cells): boolean {
  return row[STATE]?.startsWith('waiting') === true;
}
