/** The report as people read it: Markdown, the same on the terminal and in the README. */
import { readFileSync, writeFileSync } from 'node:fs';
import { type LeaseFigureId, type LeaseReport, PAIRS_PER_BATCH } from './lease-figures.ts';
import type { Distribution } from './measure.ts';
import type { BenchReport, HandOffResult } from './run.ts';
import type { Waiting, Written } from './variants.ts';

/** Between them a document has what a run wrote. */
export interface Markers {
  readonly begin: string;
  readonly end: string;
  /** How errors call the document. */
  readonly document: string;
}
const README_MARKERS: Markers = {
  begin: '<!-- bench:begin -->',
  end: '<!-- bench:end -->',
  document: 'the README',
};
export const MEMORY_MARKERS: Markers = {
  begin: '<!-- memory-bench:begin -->',
  end: '<!-- memory-bench:end -->',
  document: 'docs/MEMORY.md',
};

const WAITING: Readonly<Record<Waiting, string>> = {
  tryTake: 'spin, `tryTake()` in a loop',
  spin: "spin, `take()` with `wait: 'spin'`",
  park: "park, `take()` with `wait: 'park'`",
  'event-loop': 'event loop',
};

const WRITTEN: Readonly<Record<Written, string>> = {
  ends: '',
  all: ', all of it written first',
  elsewhere: ', 8.3 MB elsewhere written first',
};

/** How much dearer the large payload may be. */
const RATIO_MAX = 1.2;

/** What leases may cost on a quiet machine, ns; the worst of these figures counts. */
const LEASE_GOALS: readonly {
  readonly what: string;
  readonly percentile: 'p50Ns' | 'p99Ns';
  readonly of: readonly LeaseFigureId[];
  readonly maxNs: number;
}[] = [
  { what: '`tryLease` without a view', percentile: 'p50Ns', of: ['try-shared', 'try-exclusive'], maxNs: 500 },
  { what: 'with one', percentile: 'p50Ns', of: ['try-shared-view', 'try-exclusive-view'], maxNs: 1_500 },
  { what: 'a grant after a death, p99,', percentile: 'p99Ns', of: ['death'], maxNs: 5e6 },
];
/** One call of a lease by RPC against a bare call. */
const RPC_RATIO_MAX = 1.3;

/** Three digits that count, µs. */
function microseconds(ns: number): string {
  const us = ns / 1_000;
  const digits = us >= 100 ? 0 : us >= 10 ? 1 : us >= 1 ? 2 : 3;
  return us.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

const figures = ({ p50Ns, p99Ns, p999Ns, maxNs, n }: Distribution): string =>
  `${[p50Ns, p99Ns, p999Ns, maxNs].map(microseconds).join(' | ')} | ${n.toLocaleString('en-US')}`;

function bytesText(bytes: number): string {
  return bytes < 1_000_000 ? `${bytes / 1_024} KiB` : `${(bytes / 1_000_000).toFixed(1)} MB`;
}

function transportText({ transport, views, written }: HandOffResult): string {
  if (transport === 'unix-socket') return 'Unix socket (`net`)';
  if (transport === 'grpc-stream') return 'gRPC stream (`grpc-js`, Unix socket)';
  return `Leasehold, ${views} views${WRITTEN[written]}`;
}

const handOffRow = (result: HandOffResult): string =>
  `| ${transportText(result)} | ${WAITING[result.waiting]} | ${bytesText(result.payloadBytes)} | ${figures(result.latency)} |`;

function ratioText(report: BenchReport): string {
  const parts = Object.entries(report.ratios).map(
    ([name, ratio]) => `${name === 'poll' ? '`tryTake()` loop' : name} ${ratio.toFixed(2)}`,
  );
  const holds = Object.values(report.ratios).every((ratio) => ratio <= RATIO_MAX);
  const verdict = holds ? 'within' : '**not within**';
  return `8.3 MB against 4 KiB, p50 by p50: ${parts.join(', ')} (${verdict} the 20 % that is promised).`;
}

function pagesText({ memory, payloadBytes }: HandOffResult): string[] {
  if (memory === null) return [];
  const reason = memory.fallbackReason === null ? '' : ` (${memory.fallbackReason})`;
  return [`${memory.pageKind}${reason} for ${bytesText(payloadBytes)}`];
}

function machineText({ machine, handOffs, rounds, tookSeconds }: BenchReport): string {
  const { cpuModel, cpuCount, kernel, node, pinned } = machine;
  const cores =
    pinned === null ? 'not pinned' : `sender pinned to core ${pinned.sender}, receiver to core ${pinned.receiver}`;
  const pages = new Set(handOffs.flatMap(pagesText));
  return `${cpuModel}, ${cpuCount} cores (${cores}), Linux ${kernel}, Node ${node}. Pages: ${[...pages].join(', ')}. ${rounds} interleaved rounds after one that is not counted, ${tookSeconds.toFixed(0)} s.`;
}

const METHOD = `One way, from just before \`publish()\` (or the write) to the moment the receiver can read all of the payload, by
CLOCK_MONOTONIC in both processes; reading that clock is some 50 ns of each figure. One payload is on its way at a time. Producing it is
not included for anybody: in shared memory it is where it is wanted, and only its two ends are written before each hand-off, except
where the row says otherwise; the sockets carry every byte. Receivers that sleep (park, event loop) get a pause of 1 ms before each, so
that they do. p99.9 of fewer than 1,000 is the maximum.`;

/** Each goal, and whether it was met. */
function leaseGoalsText({ results, rpcRatio }: LeaseReport): string {
  const goals = LEASE_GOALS.map(({ what, percentile, of, maxNs }) => {
    const worstNs = Math.max(...results.filter(({ id }) => of.includes(id)).map(({ latency }) => latency[percentile]));
    const missed = worstNs <= maxNs ? '' : ' (**missed**)';
    return `${what} ${microseconds(worstNs)} of at most ${microseconds(maxNs)} µs${missed}`;
  });
  const missed = rpcRatio <= RPC_RATIO_MAX ? '' : ' (**missed**)';
  goals.push(`a call by RPC ${rpcRatio.toFixed(2)} of at most ${RPC_RATIO_MAX} bare calls${missed}`);
  return `Goals on a quiet machine, and what was measured on this one: ${goals.join('; ')}.`;
}

const LEASE_METHOD = `Leases are of one mapping of 4 KiB in which two processes take part, for shared leases and for exclusive ones. The
rows in which one process takes and releases in memory are means of ${PAIRS_PER_BATCH} pairs each, for they are too short to be timed one by one, and
\`await\` is part of the pair; the other rows are single ones. RPC: one client that asks one thing at a time, in turn with the bare call.
From process to process, and after a death: the next one waits in the broker's queue, in \`await lease()\`, and everybody sleeps, when the
holder's clock is read, just before \`release()\`, or the killer's, just before the signal; the second reading is of the next one, once it has the lease.
Every death is that of a process newly started, which had the lease in its memory; the kernel unmaps the memory of a process before it closes
its sockets, by which the broker knows, so that what is left of the time is what the broker and the next holder take.`;

export function markdown(report: BenchReport): string {
  return [
    machineText(report),
    '',
    '| hand-off, µs | receiver waits | payload | p50 | p99 | p99.9 | max | n |',
    '| --- | --- | --- | --: | --: | --: | --: | --: |',
    ...report.handOffs.map(handOffRow),
    '',
    ratioText(report),
    '',
    '| control plane, round trip, µs | p50 | p99 | p99.9 | max | n |',
    '| --- | --: | --: | --: | --: | --: |',
    ...report.controlPlane.map(({ name, latency }) => `| ${name} | ${figures(latency)} |`),
    '',
    METHOD,
    '',
    '| leases, µs | p50 | p99 | p99.9 | max | n |',
    '| --- | --: | --: | --: | --: | --: |',
    ...report.leases.results.map(({ name, latency }) => `| ${name} | ${figures(latency)} |`),
    '',
    leaseGoalsText(report.leases),
    '',
    LEASE_METHOD,
  ].join('\n');
}

/** `text` with `block` between the markers. @throws Error when they are not there, once each and in order. */
export function replaceBlock(text: string, block: string, { begin, end, document } = README_MARKERS): string {
  const [before, rest, ...moreBegins] = text.split(begin);
  const [, after, ...moreEnds] = rest?.split(end) ?? [];
  if (before === undefined || after === undefined || moreBegins.length > 0 || moreEnds.length > 0) {
    throw new Error(`${document} must have one ${begin} and, after it, one ${end}`);
  }
  return `${before}${begin}\n${block}\n${end}${after}`;
}

/** Puts `block` into a document. @throws Error as `replaceBlock`; ENOENT. */
export function writeBlock(path: string | URL, markers: Markers, block: string): void {
  writeFileSync(path, replaceBlock(readFileSync(path, 'utf8'), block, markers));
}

/** Finds out early that `writeBlock` would fail. */
export function checkBlock(path: string | URL, markers: Markers): void {
  replaceBlock(readFileSync(path, 'utf8'), '', markers);
}

/** Puts the report into the README. @throws Error as `replaceBlock`; ENOENT. */
export function writeReadme(path: string | URL, report: BenchReport): void {
  writeBlock(path, README_MARKERS, markdown(report));
}

/** Finds out early that `writeReadme` would fail. */
export function checkReadme(path: string | URL): void {
  checkBlock(path, README_MARKERS);
}
