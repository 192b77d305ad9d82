/** The report as people read it: Markdown, the same on the terminal and in the README. */
import { readFileSync, writeFileSync } from 'node:fs';
import type { Distribution } from './measure.ts';
import type { BenchReport, HandOffResult } from './run.ts';
import type { Waiting, Written } from './variants.ts';

const BEGIN = '<!-- bench:begin -->';
const END = '<!-- bench:end -->';

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

/** Three digits that count, µs. */
function microseconds(ns: number): string {
  const us = ns / 1_000;
  const digits = us >= 100 ? 0 : us >= 10 ? 1 : 2;
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
  ].join('\n');
}

/** `text` with `block` between the markers. @throws Error when they are not there, once each and in order. */
export function replaceBlock(text: string, block: string): string {
  const [before, rest, ...moreBegins] = text.split(BEGIN);
  const [, after, ...moreEnds] = rest?.split(END) ?? [];
  if (before === undefined || after === undefined || moreBegins.length > 0 || moreEnds.length > 0) {
    throw new Error(`the README must have one ${BEGIN} and, after it, one ${END}`);
  }
  return `${before}${BEGIN}\n${block}\n${END}${after}`;
}

/** Puts the report into the README. @throws Error as `replaceBlock`; ENOENT. */
export function writeReadme(path: string | URL, report: BenchReport): void {
  writeFileSync(path, replaceBlock(readFileSync(path, 'utf8'), markdown(report)));
}

/** Finds out early that `writeReadme` would fail. */
export function checkReadme(path: string | URL): void {
  replaceBlock(readFileSync(path, 'utf8'), '');
}
