/** What the demo found, as the object that `--format json` prints and as the table and remarks for people. Pure. */
import type { TableColumn } from '../program/output.ts';
import type { LatencyUs } from './latency.ts';
import type { CameraFigures, PagesFigures, SubscriberFigures } from './messages.ts';
import { FOURCC, FRAME_BYTES, RASTER, SUBSCRIBER_NAMES, type SubscriberName } from './scene.ts';

/** Scripts depend on these names. */
export interface DemoReport {
  readonly frames: number;
  readonly fps: number;
  readonly format: { readonly fourcc: string; readonly width: number; readonly height: number };
  readonly publisher: { readonly frames: number; readonly dropped: number; readonly fps: number };
  readonly subscribers: readonly {
    readonly name: SubscriberName;
    readonly frames: number;
    readonly lost: number;
    /** A `latest` subscriber asks to be spared these. */
    readonly skipped: number;
    /** Pictures that were not of the frame they came with. */
    readonly mismatched: number;
    readonly latencyUs: LatencyUs | null;
    readonly finding: string;
  }[];
  readonly pages: PagesFigures;
  /** Payload handed to subscribers. */
  readonly bytesShared: number;
  /**
   * Payload that Leasehold or the demo copied on the way. Nothing counts it, because nothing does it: the camera renders into
   * the slot, and the three works, sharp included, read there. `frame.copy()`, the only call that copies, is not used.
   */
  readonly bytesCopied: 0;
}

export interface DemoFigures {
  readonly camera: CameraFigures;
  readonly subscribers: Readonly<Record<SubscriberName, SubscriberFigures>>;
  readonly pages: PagesFigures;
}

export function demoReport({ camera, subscribers, pages }: DemoFigures): DemoReport {
  const fps = Number(camera.fps.toFixed(2));
  const rows = SUBSCRIBER_NAMES.map((name) => {
    const { frames, lost, skipped, mismatched, latencyUs, finding } = subscribers[name];
    return { name, frames, lost, skipped, mismatched, latencyUs, finding };
  });
  return {
    frames: camera.frames,
    fps,
    format: { fourcc: FOURCC, width: RASTER.width, height: RASTER.height },
    publisher: { frames: camera.frames, dropped: camera.dropped, fps },
    subscribers: rows,
    pages,
    bytesShared: rows.reduce((total, { frames }) => total + frames, 0) * FRAME_BYTES,
    bytesCopied: 0,
  };
}

/** What is wrong with the run although it came to its end; null when nothing is. */
export function demoProblem(report: DemoReport): string | null {
  const wrong = report.subscribers.filter(({ mismatched }) => mismatched > 0);
  if (wrong.length > 0) {
    const counts = wrong.map(({ name, mismatched }) => `${mismatched} by ${name}`).join(', ');
    return `pictures came that were not of the frame they came with: ${counts}`;
  }
  const idle = report.subscribers.filter(({ frames }) => frames === 0).map(({ name }) => name);
  return idle.length > 0 ? `no frame came to ${idle.join(', ')}` : null;
}

export const REPORT_COLUMNS: readonly TableColumn[] = [
  { heading: 'PROCESS' },
  { heading: 'FRAMES', align: 'right' },
  { heading: 'FRAMES/S', align: 'right' },
  { heading: 'LOST', align: 'right' },
  { heading: 'SKIPPED', align: 'right' },
  { heading: 'P50 µs', align: 'right' },
  { heading: 'P99 µs', align: 'right' },
  { heading: 'WORK' },
];

export function reportRows(report: DemoReport): (string | number)[][] {
  const { publisher, subscribers } = report;
  const elapsedS = report.fps > 0 ? report.frames / report.fps : 0;
  const rate = (frames: number) => (elapsedS > 0 ? (frames / elapsedS).toFixed(1) : '–');
  const dropped = publisher.dropped === 0 ? 'renders into shared memory' : `renders; ${publisher.dropped} dropped`;
  return [
    ['camera', publisher.frames, publisher.fps.toFixed(1), '', '', '', '', dropped],
    ...subscribers.map(({ name, frames, lost, skipped, latencyUs, finding }) => {
      const { p50, p99 } = latencyUs ?? { p50: '–', p99: '–' };
      return [name, frames, rate(frames), lost, skipped, p50, p99, finding];
    }),
  ];
}

export function reportRemarks(report: DemoReport): string[] {
  const gigabytes = (report.bytesShared / 1e9).toFixed(2);
  return [
    `${RASTER.width}×${RASTER.height} ${FOURCC}, ${(FRAME_BYTES / 1e6).toFixed(1)} MB a frame. Latency is from publish to take.`,
    `Bytes handed over: ${gigabytes} GB to ${report.subscribers.length} processes. Bytes copied by us: ${report.bytesCopied}, by construction.`,
    `Pages: ${pagesText(report.pages)}.`,
  ];
}

export function pagesText({ granted, reason }: PagesFigures): string {
  return reason === null ? granted : `${granted} (none of the pool of large pages: ${reason})`;
}
