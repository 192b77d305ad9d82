/** The memory report as people read it: Markdown, the same on the terminal and in docs/MEMORY.md. */

import {
  BLOCKS,
  type Block,
  type BlockResult,
  CHECKS,
  type HealthResult,
  type MemoryReport,
  type ResizeResult,
  type TouchResult,
  type WalkResult,
} from './memory-figures.ts';
import type { Distribution } from './memory-measure.ts';

/** Whole units only, or what comes close. */
export function bytesText(bytes: number): string {
  for (const [unit, name] of [
    [2 ** 30, 'GiB'],
    [2 ** 20, 'MiB'],
    [1_000_000, 'MB'],
    [2 ** 10, 'KiB'],
  ] as const) {
    if (bytes >= unit && bytes % unit === 0) return `${bytes / unit} ${name}`;
  }
  return `${bytes} B`;
}

/** Three digits that count. */
function threeDigits(value: number): string {
  const digits = value >= 100 ? 0 : value >= 10 ? 1 : value >= 1 ? 2 : 3;
  return value.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

const milliseconds = (ns: number): string => threeDigits(ns / 1e6);

/** p50 and the largest, ms. */
const spread = ({ p50Ns, maxNs }: Distribution): string => `${milliseconds(p50Ns)} (${milliseconds(maxNs)})`;

const countText = (n: number): string => n.toLocaleString('en-US');

/** p50 against the p50 of another result of the same run; a dash when there is no other. */
function ratioText(of: Distribution, base: Distribution | undefined): string {
  return base === undefined ? '–' : (of.p50Ns / base.p50Ns).toFixed(2);
}

function table(head: readonly string[], leftColumns: number, rows: readonly (readonly string[])[]): string[] {
  if (rows.length === 0) return ['Nothing could be measured.'];
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map((_, index) => (index < leftColumns ? '---' : '--:'))), ...rows.map(line)];
}

function touchRow(result: TouchResult, all: readonly TouchResult[]): string[] {
  const { kind, sizeBytes, firstCreate, create, attach, firstTouch, secondTouch, inOrder } = result;
  const base = all.find((other) => other.kind === 'base' && other.sizeBytes === sizeBytes);
  return [
    bytesText(sizeBytes),
    kind,
    spread(firstCreate),
    spread(create),
    spread(attach),
    spread(firstTouch),
    ratioText(firstTouch, base?.firstTouch),
    spread(secondTouch),
    spread(inOrder),
    countText(create.n),
  ];
}

function walkRow({ kind, sizeBytes, setBytes, read }: WalkResult, all: readonly WalkResult[]): string[] {
  const sameSet = (other: WalkResult): boolean => other.setBytes === setBytes && other.sizeBytes === sizeBytes;
  const base = all.find((other) => other.kind === 'base' && sameSet(other));
  const figures = [read.p50Ns, read.p99Ns, read.maxNs].map(threeDigits);
  return [
    `${bytesText(setBytes)} of ${bytesText(sizeBytes)}`,
    kind,
    ...figures,
    ratioText(read, base?.read),
    countText(read.n),
  ];
}

const BLOCK_TEXT: Readonly<Record<Block['from'], string>> = {
  alloc: '`Buffer.alloc`',
  allocUnsafe: '`Buffer.allocUnsafe`',
  pages: '`Pages.allocate`',
  mapping: '`createMapping`, `attach`',
  lease: '`lease` of a mapping that is there',
};

function blockText({ from, kind }: Block): string {
  return kind === null ? BLOCK_TEXT[from] : `${BLOCK_TEXT[from]}, ${kind}`;
}

function blockRow({ id, had, touched }: BlockResult, all: readonly BlockResult[]): string[] {
  const base = all.find((other) => other.id === 'alloc');
  const figures = [touched.p50Ns, touched.p99Ns, touched.maxNs].map(milliseconds);
  return [
    blockText(BLOCKS[id]),
    milliseconds(had.p50Ns),
    ...figures,
    ratioText(touched, base?.touched),
    countText(touched.n),
  ];
}

function latencyCells({ p50Ns, p99Ns, maxNs, n }: Distribution): string[] {
  return [...[p50Ns, p99Ns, maxNs].map(milliseconds), countText(n)];
}

function meanwhile(during: HealthResult['during'], size: string): string {
  if (during === 'idle') return 'nothing';
  return during === 'bystander' ? `nothing; another process fills ${size}` : `populates ${size}, ${during}`;
}

function healthRow({ check, during, sizeBytes, latency }: HealthResult): string[] {
  return [CHECKS[check], meanwhile(during, bytesText(sizeBytes)), ...latencyCells(latency)];
}

function resizeRow({ kind, direction, attachments, stepBytes, latency }: ResizeResult): string[] {
  return [`${direction} by ${bytesText(stepBytes)}`, kind, String(attachments), ...latencyCells(latency)];
}

function machineText({ machine, transparent, freeMemoryReported, tookSeconds }: MemoryReport): string {
  const { cpuModel, cpuCount, memoryBytes, kernel, node, cores } = machine;
  const pinned = cores === null ? 'not pinned' : `creator pinned to core ${cores[0]}, user to core ${cores[1]}`;
  const memory = `${(memoryBytes / 2 ** 30).toFixed(0)} GiB of memory`;
  const host = freeMemoryReported ? 'The host takes free memory back until it is touched again. ' : '';
  const pages = `Transparent pages: ${transparent.anonymous} for anonymous memory, ${transparent.shared} for shared`;
  return `${cpuModel}, ${cpuCount} cores (${pinned}), ${memory}, Linux ${kernel}, Node ${node}. ${pages}. ${host}${tookSeconds.toFixed(0)} s.`;
}

const TOUCH_METHOD = `p50 and, in brackets, the largest of n. \`create\` is the call of one process, until the broker has populated the memory; the
first one takes memory as it finds it, and a second one right after, once that was deleted, memory that was touched a moment ago. Another
process attaches the second one, writes one byte of every 4 KiB (first touch), does so once more, and reads all of it in order. The kinds of
pages take turns, and one round is not counted.`;

const WALK_METHOD = `Each read waits for the one before it, so this is latency, not throughput; the places are the same for every kind. A sample is the mean of
one batch of reads. The set of 16 KiB is what the loop itself costs.`;

const BLOCK_METHOD = `\`had\` is until the call returned or its promise was kept; \`touched\` is until one byte of every 4 KiB was written as well. One
process, everything in turn, garbage collected and deleted memory given back in between, and each twice, of which the second is counted.`;

const HEALTH_METHOD = `Populating follows the deletion of a mapping of the same kind and size. Checks of a second process, one at a time, one every 10 ms and of each kind in turn; one that waits behind a late one counts from when it was due.`;

const RESIZE_METHOD = `The call alone, by a process that holds the exclusive lease; before each shrinking every attached session has read one byte of every 4 KiB.`;

function reserveLines({ reserves }: MemoryReport): string[] {
  const head = ['reserved', 'pages', 'committed', 'memory, whole machine', 'page tables', 'resident'];
  const kib = (bytes: number): string => `${countText(bytes / 1_024)} KiB`;
  return table(
    head,
    2,
    reserves.map(({ kind, reserveBytes, committedBytes, memoryBytes, pageTableBytes, residentBytes }) => [
      bytesText(reserveBytes),
      kind,
      ...[committedBytes, memoryBytes, pageTableBytes, residentBytes].map(kib),
    ]),
  );
}

const RESERVE_METHOD = `What a reservation added, with one page of it committed and touched and the rest attached by another process and untouched: shared memory and
large pages of the whole machine, with whatever else happened on it; page tables and resident shared memory of the broker and of that process.`;

export function memoryMarkdown(report: MemoryReport): string {
  const { touches, walks, blocks, health, resizes, notMeasured } = report;
  const latency = ['p50', 'p99', 'max', 'n'];
  return [
    machineText(report),
    '',
    ...table(
      [
        'size',
        'pages',
        'first create, ms',
        'create, ms',
        'attach, ms',
        'first touch, ms',
        'against base',
        'second touch, ms',
        'read in order, ms',
        'n',
      ],
      2,
      touches.map((result) => touchRow(result, touches)),
    ),
    '',
    TOUCH_METHOD,
    '',
    ...table(
      ['random 4-byte reads, ns each', 'pages', 'p50', 'p99', 'max', 'p50 against base', 'n'],
      2,
      walks.map((result) => walkRow(result, walks)),
    ),
    '',
    WALK_METHOD,
    '',
    ...table(
      [
        `a block of ${bytesText(blocks.sizeBytes)}, ms`,
        'had, p50',
        'touched, p50',
        'p99',
        'max',
        'p50 against `Buffer.alloc`',
        'n',
      ],
      1,
      blocks.results.map((result) => blockRow(result, blocks.results)),
    ),
    '',
    BLOCK_METHOD,
    '',
    ...table(['round trip, ms', 'the broker meanwhile', ...latency], 2, health.map(healthRow)),
    '',
    HEALTH_METHOD,
    '',
    ...table(['`resize`, ms', 'pages', 'attachments', ...latency], 2, resizes.map(resizeRow)),
    '',
    RESIZE_METHOD,
    '',
    ...reserveLines(report),
    '',
    RESERVE_METHOD,
    ...(notMeasured.length === 0
      ? []
      : ['', 'Not measured:', ...notMeasured.map(({ what, why }) => `- ${what}: ${why}`)]),
  ].join('\n');
}
