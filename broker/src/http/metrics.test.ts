import { afterEach, describe, expect, it } from 'vitest';
import type { BrokerSnapshot, ChannelSnapshot, MappingSnapshot } from '../snapshot.ts';
import { createMetrics, type Metrics } from './metrics.ts';

const channel = (name: string, values: Partial<ChannelSnapshot> = {}): ChannelSnapshot => ({
  name,
  published: 0,
  publisher: null,
  standbys: 0,
  subscribers: [],
  takenTotal: 0,
  lostTotal: 0,
  ...values,
});
const mapping = (values: Partial<MappingSnapshot>): MappingSnapshot => ({
  name: 'm',
  id: '1',
  channel: false,
  pageKind: 'base',
  mappedBytes: 4096,
  payloadBytes: 4000,
  readers: 0,
  writers: 0,
  ...values,
});
const broker = (values: Partial<BrokerSnapshot>): BrokerSnapshot => ({
  sessions: 0,
  mappings: [],
  channels: [],
  memory: { quotaBytes: 0, chargedBytes: 0, populatingBytes: 0 },
  quotas: [],
  hugePages: [],
  hugePagesAdded: 0,
  draining: false,
  ...values,
});

let metrics: Metrics | undefined;
afterEach(() => metrics?.close());

const metricsOf = (snapshot: () => BrokerSnapshot, nowMs: () => number = () => 0): Metrics => {
  metrics = createMetrics({ snapshot, readiness: () => ({ ready: false, checks: [] }) }, { nowMs });
  return metrics;
};

describe('createMetrics', () => {
  it('shows sessions, memory, and mappings by page kind', async () => {
    const mappings = [
      mapping({}),
      mapping({ mappedBytes: 8192 }),
      mapping({ pageKind: 'hugetlb-2m', mappedBytes: 2 ** 21 }),
    ];
    const memory = { quotaBytes: 2 ** 30, chargedBytes: 2 ** 21 + 12_288, populatingBytes: 8192 };
    const text = await metricsOf(() => broker({ sessions: 7, mappings, memory, draining: true })).render();
    expect(text.split('\n')).toEqual(
      expect.arrayContaining([
        'leasehold_sessions 7',
        'leasehold_mappings{page_kind="base"} 2',
        'leasehold_mapped_bytes{page_kind="base"} 12288',
        'leasehold_payload_bytes{page_kind="base"} 8000',
        'leasehold_mapped_bytes{page_kind="hugetlb-2m"} 2097152',
        'leasehold_memory_quota_bytes 1073741824',
        'leasehold_memory_charged_bytes 2109440',
        'leasehold_populating_bytes 8192',
        'leasehold_draining 1',
        'leasehold_ready 0',
      ]),
    );
    expect(text).toMatch(/^process_open_fds [1-9]/m);
    expect(text).toMatch(/^process_resident_memory_bytes [1-9]/m);
    expect(text).toMatch(/^leasehold_event_loop_delay_seconds\{share="0.99"\} [0-9.e-]+$/m);
  });

  it('shows what is taken of each quota, and what may be', async () => {
    const quotas = [
      { quota: 'largePageBytes', used: 2 ** 21, limit: Number.POSITIVE_INFINITY },
      { quota: 'sessions', used: 3, limit: 4096 },
    ] as const;
    const text = await metricsOf(() => broker({ quotas })).render();
    expect(text.split('\n')).toEqual(
      expect.arrayContaining([
        'leasehold_quota_used{quota="largePageBytes"} 2097152',
        'leasehold_quota_limit{quota="largePageBytes"} +Inf',
        'leasehold_quota_used{quota="sessions"} 3',
        'leasehold_quota_limit{quota="sessions"} 4096',
      ]),
    );
  });

  it('shows the pools of large pages: all pages, the free, the promised and ours, and those that we added', async () => {
    const pool = { pageBytes: 2 ** 21, totalPages: 100, freePages: 40, reservedPages: 10, ourPages: 25 };
    const hugePages = [
      { ...pool, pageKind: 'hugetlb-2m' },
      { ...pool, pageKind: 'hugetlb-1g', totalPages: 3, ourPages: 2 },
    ] as const;
    const text = await metricsOf(() => broker({ hugePages, hugePagesAdded: 7 })).render();
    expect(text.split('\n')).toEqual(
      expect.arrayContaining([
        'leasehold_huge_pages{page_kind="hugetlb-2m",state="total"} 100',
        'leasehold_huge_pages{page_kind="hugetlb-2m",state="free"} 40',
        'leasehold_huge_pages{page_kind="hugetlb-2m",state="reserved"} 10',
        'leasehold_huge_pages{page_kind="hugetlb-2m",state="ours"} 25',
        'leasehold_huge_pages{page_kind="hugetlb-1g",state="total"} 3',
        'leasehold_huge_pages{page_kind="hugetlb-1g",state="ours"} 2',
        'leasehold_huge_pages_added 7',
      ]),
    );
  });

  it('shows the frames of each channel as counters, copied and not added up', async () => {
    let nowMs = 0;
    let published = 10;
    const peer = { pid: 1, uid: 0, name: 'p' };
    const subscribers = [{ ...peer, mode: 'queue', taken: 4, lost: 1 } as const];
    const source = metricsOf(
      () =>
        broker({
          channels: [
            channel('cam/a', { published, publisher: peer, standbys: 2, subscribers, takenTotal: 9, lostTotal: 3 }),
          ],
        }),
      () => nowMs,
    );
    await source.render();
    nowMs += 1_000;
    published = 25;
    const text = await source.render();
    expect(text).toContain('# TYPE leasehold_frames_published_total counter');
    expect(text.split('\n')).toEqual(
      expect.arrayContaining([
        'leasehold_frames_published_total{channel="cam/a"} 25',
        'leasehold_frames_taken_total{channel="cam/a"} 9',
        'leasehold_frames_lost_total{channel="cam/a"} 3',
        'leasehold_channel_publishers{channel="cam/a"} 1',
        'leasehold_channel_standbys{channel="cam/a"} 2',
        'leasehold_channel_subscribers{channel="cam/a"} 1',
      ]),
    );
  });

  it('forgets channels and page kinds that are gone', async () => {
    let nowMs = 0;
    let current = broker({ channels: [channel('gone')], mappings: [mapping({ pageKind: 'hugetlb-1g' })] });
    const source = metricsOf(
      () => current,
      () => nowMs,
    );
    expect(await source.render()).toContain('"gone"');
    current = broker({});
    nowMs += 1_000;
    const text = await source.render();
    expect(text).not.toContain('"gone"');
    expect(text).not.toContain('hugetlb-1g');
  });

  it('is rendered at most once a second, however many ask', async () => {
    let nowMs = 0;
    let asked = 0;
    const source = metricsOf(
      () => broker({ sessions: ++asked }),
      () => nowMs,
    );
    await Promise.all(Array.from({ length: 50 }, () => source.render()));
    nowMs = 999;
    expect(await source.render()).toContain('leasehold_sessions 1\n');
    expect(asked).toBe(1);
    nowMs = 1_000;
    expect(await source.render()).toContain('leasehold_sessions 2\n');
  });

  it('has a bounded number of series, whatever clients create', async () => {
    const channels = Array.from({ length: 1_000 }, (_, index) => channel(`c${index}`, { published: 1 }));
    const text = await metricsOf(() => broker({ channels })).render();
    const lines = text.split('\n').filter((line) => line.startsWith('leasehold_frames_published_total{'));
    expect(lines).toHaveLength(256);
    expect(text).toContain('leasehold_channels 1000\n');
  });
});
