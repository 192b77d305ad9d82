import type { MappingInfo } from '@leasehold/client';
import { describe, expect, it } from 'vitest';
import { formatText, mappingText, pagesText, summarize } from './mapping-summary.ts';

const PRINCIPAL = { pid: 1, uid: 0, gid: 0, sessionId: 2n, name: 'camera' };
const MEMORY = {
  payloadBytes: 4096,
  mappedBytes: 2 * 2 ** 20,
  pageKind: 'base',
  pageBytes: 4096,
  fallbackReason: 'POOL_EXHAUSTED',
  reservedBytes: 2 * 2 ** 20,
  stepDowns: [],
  locked: false,
  numa: null,
} as const;
const MAPPING: MappingInfo = {
  name: 'calibration',
  id: 7n,
  memory: MEMORY,
  persistent: false,
  creator: PRINCIPAL,
  createTime: new Date(0),
  channel: false,
  readers: 1,
  writers: 0,
  maxParticipants: 64,
  dirty: false,
  fencingToken: 0n,
  leaseWaiters: 0,
};

describe('what is said about a mapping', () => {
  it('has a channel part only when it is a channel', () => {
    expect(summarize(MAPPING, null).channel).toBeNull();
  });

  it('names size, pages, and why they are not larger', () => {
    expect(mappingText(MAPPING)).toBe('calibration  mapping, 4 KiB, base (POOL_EXHAUSTED) pages');
    expect(pagesText({ memory: { ...MEMORY, pageKind: 'hugetlb-2m', fallbackReason: null } })).toBe('hugetlb-2m');
  });

  it('shows a frame rate as a number, and nothing where none is stated', () => {
    const format = { fourcc: 'YU12', width: 640, height: 480 };
    expect(formatText({ ...format, frameRate: { numerator: 30_000, denominator: 1_001 } })).toBe(
      '640×480 YU12 29.97/s',
    );
    expect(formatText({ ...format, frameRate: { numerator: 0, denominator: 0 } })).toBe('640×480 YU12');
    expect(formatText({ fourcc: '', width: 0, height: 0 })).toBe('bytes');
  });

  it('lets no text from elsewhere steer the terminal', () => {
    expect(formatText({ fourcc: '\u001b[2J', width: 0, height: 0 })).not.toContain('\u001b');
  });
});
