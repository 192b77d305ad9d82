/**
 * The truth table of page kinds: policy × size × what the platform has × pool × quota × privilege × what the operator allows. What is right is
 * written down here a second time, from the rules and not from the code.
 */
import { describe, expect, it } from 'vitest';
import type { PageKind } from '../os/os.ts';
import { SegmentAllocator, type SegmentRequest } from './allocate-segment.ts';
import { LargePagesUnavailable } from './large-pages.ts';
import { type Hugetlb, type Platform, SpyOs } from './testing/spy-os.ts';

const MIB = 2 ** 20;
const GIB = 2 ** 30;

type Policy = SegmentRequest['pages'];
type Transparent = NonNullable<Platform['transparent']> | 'absent' | 'over quota';
type Outcome = { granted: PageKind; stepDowns: [PageKind, string][] } | { error: string };

/** What one kind of hugetlb pages meets; any of it may come together. */
interface Condition {
  readonly there: boolean;
  readonly overQuota: boolean;
  /** `short after all`: somebody else was quicker. */
  readonly pool: 'enough' | 'empty' | 'promised' | 'short after all';
  readonly allowed: boolean;
}

const POOLS = ['enough', 'empty', 'promised', 'short after all'] as const;
const TRANSPARENT = ['collapsed', 'fragmented', 'refused', 'unverified', 'absent', 'over quota'] as const;
const EITHER = [true, false] as const;

const CONDITIONS: readonly Condition[] = EITHER.flatMap((there) =>
  EITHER.flatMap((overQuota) =>
    POOLS.flatMap((pool) => EITHER.map((allowed) => ({ there, overQuota, pool, allowed }))),
  ),
);
const FINE: Condition = { there: true, overQuota: false, pool: 'enough', allowed: true };
/** Of 1 GiB pages, one trouble at a time. */
const GIGABYTE_CONDITIONS: readonly Condition[] = [
  FINE,
  { ...FINE, there: false },
  { ...FINE, overQuota: true },
  { ...FINE, pool: 'empty' },
  { ...FINE, allowed: false },
];

/** Names of sizes: below, at and above one page of either size, and what 1 GiB pages would waste too much of, or just not. */
const SIZES: Readonly<Record<string, number>> = {
  '1 B': 1,
  'one base page': 4096,
  'below 2 MiB': 2 * MIB - 1,
  '2 MiB': 2 * MIB,
  'above 2 MiB': 2 * MIB + 1,
  'below 1 GiB': GIB - 1,
  '1 GiB': GIB,
  'above 1 GiB': GIB + 1,
  '16/9 GiB, which wastes just an eighth': Math.ceil((16 * GIB) / 9),
  'a byte less, which wastes more': Math.ceil((16 * GIB) / 9) - 1,
};

interface Row {
  readonly policy: Policy;
  readonly size: string;
  readonly twoMib: Condition;
  readonly oneGib: Condition;
  readonly transparent: Transparent;
  readonly operator: 'auto' | 'never';
  readonly grows: boolean;
}

/** The first thing that is wrong with hugetlb pages, in the order of the checks; null: nothing is. */
function trouble({ there, overQuota, pool, allowed }: Condition): string | null {
  if (!there) return 'UNSUPPORTED';
  if (overQuota) return 'QUOTA';
  if (pool === 'empty' || pool === 'promised') return 'POOL_EXHAUSTED';
  if (!allowed) return 'NO_PRIVILEGE';
  return pool === 'short after all' ? 'POOL_EXHAUSTED' : null;
}

const TRANSPARENT_REASON: Readonly<Record<Exclude<Transparent, 'collapsed'>, string>> = {
  fragmented: 'POOL_EXHAUSTED',
  refused: 'UNSUPPORTED',
  unverified: 'UNSUPPORTED',
  absent: 'UNSUPPORTED',
  'over quota': 'QUOTA',
};

/** By the rules, tier by tier. */
function expected({ policy, size, twoMib, oneGib, transparent, operator, grows }: Row): Outcome {
  if (policy === 'never') return { granted: 'base', stepDowns: [] };
  const bytes = SIZES[size] ?? 0;
  const stepDowns: [PageKind, string][] = [];
  // "at least 1 GiB, and rounding up wastes at most an eighth"
  const gigabytes = Math.ceil(bytes / GIB);
  if (bytes >= GIB && (gigabytes * GIB - bytes) * 8 <= bytes) {
    const why = operator === 'never' ? 'DISABLED' : trouble(oneGib);
    if (why === null) return { granted: 'hugetlb-1g', stepDowns };
    stepDowns.push(['hugetlb-1g', why]);
  }
  let why: string | null;
  if (operator === 'never') why = 'DISABLED';
  else if (policy === 'auto' && bytes < 2 * MIB) why = 'SMALLER_THAN_PAGE';
  else why = trouble(twoMib);
  if (why === null) return { granted: 'hugetlb-2m', stepDowns };
  stepDowns.push(['hugetlb-2m', why]);
  if (policy === 'require') return { error: why };
  if (operator === 'never') stepDowns.push(['transparent-2m', 'DISABLED']);
  else if (bytes < 2 * MIB) stepDowns.push(['transparent-2m', 'SMALLER_THAN_PAGE']);
  else if (grows) stepDowns.push(['transparent-2m', 'UNSUPPORTED']);
  else if (transparent === 'collapsed') return { granted: 'transparent-2m', stepDowns };
  else stepDowns.push(['transparent-2m', TRANSPARENT_REASON[transparent]]);
  return { granted: 'base', stepDowns };
}

const POOL: Readonly<Record<Condition['pool'], Hugetlb>> = {
  enough: {},
  empty: { pool: { totalPages: 5000, freePages: 0, reservedPages: 0 } },
  promised: { pool: { totalPages: 5000, freePages: 5000, reservedPages: 5000 } },
  'short after all': { populateFails: 'ENOSPC' },
};
const platformOf = ({ there, pool, allowed }: Condition): Hugetlb => ({
  supported: there,
  ...POOL[pool],
  ...(allowed ? {} : { createFails: 'EPERM' }),
});

/** The refusal of a quota, as the broker makes it. */
class QuotaError extends Error {
  readonly fallback = 'QUOTA';
}

async function allocate(row: Row): Promise<{ outcome: Outcome; os: SpyOs; fallbackReason?: string | null }> {
  const { transparent, operator, grows } = row;
  const makes =
    transparent === 'absent' ? {} : { transparent: transparent === 'over quota' ? 'collapsed' : transparent };
  const os = new SpyOs({ ...platformOf(row.twoMib), gigabyte: platformOf(row.oneGib), ...makes });
  const overQuota: Partial<Record<PageKind, boolean>> = {
    'hugetlb-1g': row.oneGib.overQuota,
    'hugetlb-2m': row.twoMib.overQuota,
    'transparent-2m': transparent === 'over quota',
  };
  const payloadBytes = SIZES[row.size] ?? 0;
  try {
    const segment = await new SegmentAllocator(os, { largePages: operator }).allocate({
      label: 'table',
      payloadBytes,
      pages: row.policy,
      reserveBytes: grows ? payloadBytes * 2 : payloadBytes,
      admit: (_bytes, kind) => {
        if (overQuota[kind] === true) throw new QuotaError(`the quota of ${kind}`);
      },
    });
    const { pageKind, stepDowns, fallbackReason, mappedBytes, pageBytes } = segment.grant;
    expect(mappedBytes % pageBytes).toBe(0);
    expect(mappedBytes).toBeGreaterThanOrEqual(payloadBytes);
    const told = stepDowns.map(({ pageKind: kind, reason }): [PageKind, string] => [kind, reason]);
    return { outcome: { granted: pageKind, stepDowns: told }, os, fallbackReason };
  } catch (error) {
    if (error instanceof QuotaError) return { outcome: { error: 'QUOTA' }, os };
    if (!(error instanceof LargePagesUnavailable)) throw error;
    return { outcome: { error: error.reason }, os };
  }
}

/** Every combination that may matter. */
function* rows(policy: Policy): Generator<Row> {
  for (const [size, bytes] of Object.entries(SIZES))
    for (const twoMib of CONDITIONS)
      for (const oneGib of bytes < GIB ? [FINE] : GIGABYTE_CONDITIONS)
        for (const transparent of policy === 'auto' ? TRANSPARENT : TRANSPARENT.slice(0, 1))
          for (const operator of ['auto', 'never'] as const)
            for (const grows of [false, true]) yield { policy, size, twoMib, oneGib, transparent, operator, grows };
}

/** What came of each row. */
interface Line {
  readonly row: Row;
  readonly text: string;
  readonly outcome: Outcome;
  readonly fallbackReason: string | null | undefined;
  readonly open: number;
  readonly probes: readonly string[];
}

async function table(policy: Policy): Promise<Line[]> {
  const lines: Line[] = [];
  for (const row of rows(policy)) {
    const { outcome, fallbackReason, os } = await allocate(row);
    const probes = os.calls.filter((call) => /pageBytes|pagePool|collapse|hugetlb|transparent/i.test(call));
    lines.push({ row, text: JSON.stringify(row), outcome, fallbackReason, open: os.open.size, probes });
  }
  return lines;
}

describe.each<Policy>(['auto', 'require', 'never'])('under %s', async (policy) => {
  const lines = await table(policy);

  it(`what is granted, or refused, and what is said of better pages follow the rules: ${lines.length} rows`, () => {
    expect(lines.length).toBeGreaterThan(200);
    for (const { row, text, outcome } of lines) expect(outcome, text).toEqual(expected(row));
  });

  it('the fallback reason is that of 2 MiB pages, and there is none when these or larger ones were granted', () => {
    for (const { text, outcome, fallbackReason } of lines) {
      if ('error' in outcome) continue;
      expect(fallbackReason, text).toBe(outcome.stepDowns.find(([kind]) => kind === 'hugetlb-2m')?.[1] ?? null);
      if (outcome.granted.startsWith('hugetlb')) expect(fallbackReason, text).toBeNull();
    }
  });

  it('nothing is open afterwards but what was granted', () => {
    for (const { text, outcome, open } of lines) expect(open, text).toBe('error' in outcome ? 0 : 1);
  });

  it('the platform is asked about large pages only where the answer matters', () => {
    for (const { row, text, probes } of lines) {
      const tooSmall = policy === 'auto' && (SIZES[row.size] ?? 0) < 2 * MIB;
      const idle = policy === 'never' || row.operator === 'never' || tooSmall;
      if (idle) expect(probes, text).toEqual([]);
      else expect(probes, text).not.toEqual([]);
    }
  });
});
