/**
 * What was set out to be reached, as ratios of figures of one run. Invariant: a goal of which a figure is missing is neither met nor
 * missed, and says so.
 */
import type { Report } from 'leasehold/bench';
import { figureOf, ratioOf } from './lookup.ts';
import { figureText, threeDigits } from './text.ts';

export interface Goal {
  /** Also the anchor of its section. */
  readonly id: string;
  readonly what: string;
  readonly limit: number;
  readonly atLeast?: true;
  /** What is compared with `limit`; null: not measured. */
  measure(report: Report): number | null;
  /** How it is written. */
  text(measured: number): string;
  readonly limitText: string;
}

export interface Outcome {
  readonly goal: Goal;
  readonly measured: number | null;
  readonly verdict: 'met' | 'missed' | 'not measured';
}

const times = (value: number): string => `${threeDigits(value)} ×`;

type Limit = Pick<Goal, 'id' | 'what' | 'limit'> & { readonly atLeast?: true };

const ratioGoal = (limit: Limit, of: string, against: string): Goal => ({
  ...limit,
  measure: (report) => ratioOf(report, of, against),
  text: times,
  limitText: `${limit.limit} ×`,
});

const SPIN = 'hand-off/leasehold/spin/persistent';
const FENCED = 'hand-off/leasehold/spin/fenced';
const PARK = 'hand-off/leasehold/park/fenced';

export const GOALS: readonly Goal[] = [
  ratioGoal(
    { id: 'against-atomics', what: '4 KiB, spinning, persistent views, against bare `Atomics`', limit: 2.3 },
    `${SPIN}/4096`,
    'hand-off/atomics/spin/8',
  ),
  ratioGoal(
    { id: 'against-iceoryx', what: 'the same, against iceoryx 2.0.3 in C++', limit: 0.3 },
    `${SPIN}/4096`,
    'hand-off/iceoryx/spin/4096',
  ),
  ratioGoal(
    { id: 'fenced', what: 'the same with fenced views, against persistent ones', limit: 1.6 },
    `${FENCED}/4096`,
    `${SPIN}/4096`,
  ),
  ratioGoal(
    { id: 'large', what: '33 MB against 8 B, spinning, persistent views', limit: 1.1 },
    `${SPIN}/33177600`,
    `${SPIN}/8`,
  ),
  ratioGoal(
    { id: 'doorbell', what: '`park`, 8 B, against a bare datagram doorbell through the event loop', limit: 1.15 },
    `${PARK}/8`,
    'hand-off/doorbell/event-loop/8',
  ),
  ratioGoal(
    { id: 'net-small', what: '`park`, 8 B, against a `net` Unix socket with 64 B', limit: 1 },
    `${PARK}/8`,
    'hand-off/net/event-loop/64',
  ),
  ratioGoal(
    { id: 'net-large', what: '8.3 MB by a `net` Unix socket against `park`', limit: 40, atLeast: true },
    'hand-off/net/event-loop/8294400',
    `${PARK}/8294400`,
  ),
  ratioGoal(
    { id: 'grpc-large', what: '8.3 MB by a grpc-js stream against `park`', limit: 100, atLeast: true },
    'hand-off/grpc/event-loop/8294400',
    `${PARK}/8294400`,
  ),
  {
    id: 'rate',
    what: 'frames of 64 B a second, one by one, one subscriber keeping up',
    limit: 4e6,
    atLeast: true,
    measure: (report) => figureOf(report, 'throughput/leasehold/persistent/64'),
    text: (rate) => figureText(rate, 'frames/s'),
    limitText: '4 M/s',
  },
  {
    id: 'bandwidth',
    what: "8.3 MB frames written and read once, against the same in one process's own memory",
    limit: 0.9,
    atLeast: true,
    measure: (report) =>
      ratioOf(
        report,
        'throughput/leasehold/written-and-read/8294400',
        'throughput/own-memory/written-and-read/8294400',
      ),
    text: (share) => `${(share * 100).toFixed(1)} %`,
    limitText: '90 %',
  },
  ratioGoal(
    { id: 'lease-rpc', what: 'AcquireLease and ReleaseLease by RPC, against two bare unary calls', limit: 1.2 },
    'control-plane/leasehold/AcquireLease+ReleaseLease/1',
    'control-plane/grpc-js/two-calls/1',
  ),
];

export function outcomesOf(report: Report): readonly Outcome[] {
  return GOALS.map((goal) => {
    const measured = goal.measure(report);
    if (measured === null) return { goal, measured, verdict: 'not measured' };
    const met = goal.atLeast === true ? measured >= goal.limit : measured <= goal.limit;
    return { goal, measured, verdict: met ? 'met' : 'missed' };
  });
}

/** A line for each goal of which this run has the figures, for a terminal. */
export function goalsText(report: Report): string {
  const lines = outcomesOf(report).flatMap(({ goal, measured, verdict }) => {
    if (measured === null) return [];
    const limit = `${goal.atLeast === true ? 'at least' : 'at most'} ${goal.limitText}`;
    return [`  ${verdict.padEnd(6)}  ${goal.text(measured)} (${limit})  ${goal.what}`];
  });
  return lines.length === 0 ? '' : `\ngoals\n${lines.join('\n')}\n`;
}

/** A row for each; what was missed stands out. */
export function goalsTable(report: Report): readonly string[] {
  return [
    '| goal | limit | measured | |',
    '| --- | --: | --: | --- |',
    ...outcomesOf(report).map(({ goal, measured, verdict }) => {
      const limit = `${goal.atLeast === true ? '≥' : '≤'} ${goal.limitText}`;
      return `| ${goal.what} | ${limit} | ${measured === null ? '' : goal.text(measured)} | ${verdict === 'missed' ? '**missed**' : verdict} |`;
    }),
  ];
}
