/** A run for tests: all groups, plausible figures, in the order and with the ids of a real one. */
import type { Distribution, Group, Report, Result, Unit } from 'leasehold/bench';

const PAYLOADS = [8, 4_096, 1_048_576, 8_294_400, 33_177_600] as const;

const spread = (p50: number, tail = 3): Distribution => ({
  n: 20_000,
  p50,
  p99: p50 * tail,
  p999: p50 * tail * 6,
  max: p50 * tail * 80,
});

function result(id: string, unit: Unit, figure: number | Distribution, settings: Result['settings'] = {}): Result {
  const [group = '', who = ''] = id.split('/');
  const rest = typeof figure === 'number' ? { value: figure } : { distribution: figure };
  return { id, group: group as Group, who, settings, unit, ...rest };
}

/** p50 in ns for each payload. */
const handOffs = (way: string, p50s: readonly number[], payloads: readonly number[] = PAYLOADS): readonly Result[] =>
  p50s.map((p50, index) => {
    const payloadBytes = payloads[index] ?? 0;
    const settings = { waiting: way.split('/')[1] ?? '', payloadBytes, call: `of ${way}` };
    return result(`hand-off/${way}/${payloadBytes}`, 'ns', spread(p50), settings);
  });

export const HAND_OFFS: readonly Result[] = [
  ...handOffs('leasehold/spin/persistent', [331, 338, 341, 344, 345]),
  ...handOffs('leasehold/spin/fenced', [498, 512, 530, 541, 547]),
  ...handOffs('leasehold/adaptive/fenced', [520, 531, 560, 570, 590]),
  ...handOffs('leasehold/yield/fenced', [1_900, 1_950, 1_990, 2_010, 2_080]),
  ...handOffs('leasehold/park/fenced', [38_100, 38_600, 38_900, 39_700, 40_200]),
  ...handOffs('leasehold/park-sync/fenced', [28_100, 28_600, 28_900, 29_700, 30_200]),
  ...handOffs('atomics/spin', [155]),
  ...handOffs('lines/spin', [210], [4_096]),
  ...handOffs('doorbell/event-loop', [34_200]),
  ...handOffs('net/event-loop', [39_800, 40_900, 44_700, 402_000, 1_731_000, 7_204_000], [8, 64, ...PAYLOADS.slice(1)]),
  ...handOffs('fifo/park', [28_300, 29_900, 610_000, 4_830_000, 19_400_000]),
  ...handOffs('grpc/event-loop', [121_000, 128_000, 2_905_000, 25_039_000, 109_000_000]),
  ...handOffs('post-message/event-loop', [21_400, 21_900, 22_000, 23_100, 24_800]),
  ...handOffs('post-message/spin', [6_410, 6_420, 6_510, 6_590, 6_800]),
  ...handOffs('c-atomics/spin', [71, 71, 71, 71, 71]),
  ...handOffs('c-futex/park', [27_000, 27_000, 27_000, 27_000, 27_000]),
  ...handOffs('iceoryx/spin', [1_340, 1_350, 1_350, 1_360, 1_360]),
  ...handOffs('iceoryx/park', [61_000, 62_000, 62_000, 62_500, 63_000]),
  ...handOffs('zeromq/event-loop', [74_000, 76_000, 512_000, 3_290_000, 13_500_000]),
];

const THROUGHPUT: readonly Result[] = [
  result('throughput/leasehold/persistent/8', 'frames/s', 5_210_000),
  result('throughput/leasehold/persistent/64', 'frames/s', 5_020_000),
  result('throughput/leasehold/persistent/4096', 'frames/s', 4_730_000),
  result('throughput/leasehold/persistent-batched/64', 'frames/s', 11_900_000),
  result('throughput/leasehold/written-and-read/8294400', 'B/s', 4.61e9),
  result('throughput/leasehold/written-and-read-at-once/8294400', 'B/s', 5.61e9),
  result('throughput/own-memory/written-and-read/8294400', 'B/s', 4.92e9),
  result('memcpy/memory/8294400', 'B/s', 7.9e9),
  result('memcpy/memory/33177600', 'B/s', 7.7e9),
];

const FAN_OUT: readonly Result[] = [
  result('fan-out/leasehold/spin/1/4096', 'ns', spread(420), { subscribers: 1 }),
  ...[1, 2, 4, 8, 16].map((count) =>
    result(`fan-out/leasehold/park/${count}/4096`, 'ns', spread(40_000 + 14_000 * count, 2), { subscribers: count }),
  ),
];

export const SAMPLE_RUN: Report = {
  format: 1,
  machine: {
    cpuModel: 'Sample CPU',
    cpuCount: 2,
    memoryBytes: 8 * 2 ** 30,
    kernel: '6.18.0',
    node: 'v24.21.0',
    cores: [0, 1],
  },
  startedAt: '2026-11-21T12:00:00.000Z',
  tookSeconds: 512.4,
  quick: false,
  rounds: 10,
  results: [
    ...HAND_OFFS,
    ...THROUGHPUT,
    ...FAN_OUT,
    result('channels/leasehold/256', 'ns', spread(41_000), { channels: 256 }),
    result('control-plane/leasehold/AcquireLease+ReleaseLease/1', 'ns', spread(889_000), { inFlight: 1 }),
    result('control-plane/grpc-js/two-calls/1', 'ns', spread(818_000), { inFlight: 1 }),
    result('control-plane/leasehold/CreateMapping/16', 'ns', spread(1_400_000), { inFlight: 16 }),
    result('scale/leasehold/bytes-per-session', 'B', 14_200),
    result('idle/broker/cpu', '%', 0.02),
  ],
};
